from tests.cuda import compilers, test_compiles
from tests.cuda.test_compiles import *
pytestmark = []
@pytest.fixture(autouse=True)
def _nv(monkeypatch):
    monkeypatch.setattr(test_compiles, "cuda_compiler", lambda: compilers.Nvcc("nvcc"))
