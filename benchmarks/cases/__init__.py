"""All cases of the suite, in the order in which they are run and shown."""

from benchmarks.case import Case
from benchmarks.cases.chain import chain_case
from benchmarks.cases.goldstein_price import goldstein_price_case
from benchmarks.cases.lenet import lenet_case
from benchmarks.cases.lstm import lstm_case
from benchmarks.cases.mlp import small_mlp_case, wide_mlp_case

CASES: tuple[Case, ...] = (
    small_mlp_case(),
    wide_mlp_case(),
    chain_case("chain_1e3", 1_000),
    chain_case("chain_1e6", 1_000_000, bars={"numpy": 5.0}),
    goldstein_price_case(),
    lstm_case(),
    lenet_case(),
)
