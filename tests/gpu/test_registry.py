"""Every op on the GPU, against the reference and the CPU."""

import pytest

from tests.gpu import registry

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("op", registry.ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise_ops_are_those_of_the_cpu(gpu, op):
    registry.check_elementwise(gpu, op)


@pytest.mark.parametrize("op", registry.ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise_ops_broadcast(gpu, op):
    registry.check_broadcast(gpu, op)


@pytest.mark.parametrize("op", registry.OTHERS, ids=lambda op: op.name)
def test_other_ops_are_near_the_reference(gpu, op):
    registry.check_samples(gpu, op)
