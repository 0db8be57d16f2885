"""Random programs that move values about, against a model that any reader can follow."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import Parameter, Placeholder, compile
from symgraph.errors import CheckpointError, DeviceError
from tests.symgraph.fake_device import DeviceFunction, copies, installed


@pytest.fixture
def devices(monkeypatch):
    return installed(monkeypatch)


class Program:
    """Random operations on parameters, beside what they should do to values and to places."""

    def __init__(self, devices, folder, seed):
        self.rng = np.random.default_rng(seed)
        self.devices, self.path = devices, folder / "all.npz"
        self.parameters = {name: Parameter(np.zeros(3), name) for name in "pqr"}
        self.values = dict.fromkeys(self.parameters, 0.0)
        self.places = {name: {"cpu"} for name in self.parameters}
        self.copies = {device.name: [0, 0] for device in devices}
        self.saved = None
        index = Placeholder("index", ("N",), "int64")
        p, q = self.parameters["p"], self.parameters["q"]
        self.on_host = compile(p[index], updates={p: p + q})
        self.reference = compile(p[index], updates={p: p + q}, mode="reference")
        self.on_devices = [
            (DeviceFunction(device, [p, q], [p], _add), DeviceFunction(device, [p], [p], _fail))
            for device in devices
        ]

    def reads(self, name, place):
        places = self.places[name]
        if place in places:
            return
        if "cpu" not in places:
            (holder,) = places
            self.copies[holder][1] += 1
            places.add("cpu")
        if place != "cpu":
            self.copies[place][0] += 1
            places.add(place)

    def writes(self, name, place, value):
        self.values[name] = value
        self.places[name] = {place}

    def any_name(self):
        return str(self.rng.choice(list(self.parameters)))

    def assign(self):
        name, value = self.any_name(), float(self.rng.integers(100))
        self.parameters[name].value = np.full(3, value)
        self.writes(name, "cpu", value)

    def read(self):
        name = self.any_name()
        assert (self.parameters[name].value == self.values[name]).all()
        self.reads(name, "cpu")

    def move(self):
        name, place = self.any_name(), str(self.rng.choice(["cpu", "cuda:0", "cuda:1"]))
        assert self.parameters[name].to(place).device == place
        self.reads(name, place)
        self.places[name] &= {"cpu", place}

    def add(self, place, function, *arguments):
        function(*arguments)
        self.reads("p", place)
        self.reads("q", place)
        self.writes("p", place, self.values["p"] + self.values["q"])

    def add_on_host(self):
        self.add("cpu", self.on_host, np.array([2]))

    def add_by_reference(self):
        self.add("cpu", self.reference, np.array([2]))

    def add_on_device(self):
        number = self.rng.integers(2)
        self.add(self.devices[number].name, self.on_devices[number][0])

    def fail_on_device(self):
        number = self.rng.integers(2)
        with pytest.raises(DeviceError, match="the run failed"):
            self.on_devices[number][1]()
        self.reads("p", self.devices[number].name)
        self.writes("p", self.devices[number].name, self.values["p"])

    def fail_on_host(self):
        with pytest.raises(sg.BoundsError, match="no parameter was changed"):
            self.on_host(np.array([3]))
        self.reads("p", "cpu")
        self.reads("q", "cpu")
        self.writes("p", "cpu", self.values["p"])

    def save(self):
        sg.save(self.parameters, self.path)
        for name in self.parameters:
            self.reads(name, "cpu")
        self.saved = dict(self.values)

    def load(self):
        if self.saved is not None:
            sg.load(self.parameters, self.path)
            for name, value in self.saved.items():
                self.writes(name, "cpu", value)

    def load_what_does_not_fit(self):
        with pytest.raises(CheckpointError, match="r"):
            sg.load(self.parameters, {"p": np.ones(3), "q": np.ones(3), "r": np.ones(4)})

    def check(self):
        for name, parameter in self.parameters.items():
            own = parameter.residence
            assert set(own._newest) == self.places[name]
            found = {place: own._copies[place] for place in own._newest if place != "cpu"}
            views = [c.device.view(c.block.address, parameter) for c in found.values()]
            if "cpu" in own._newest:
                views.append(own.array)
            assert all((view == self.values[name]).all() for view in views)
        expected = [tuple(self.copies[device.name]) for device in self.devices]
        assert copies(self.devices) == expected


def _add(p, q):
    p += q


def _fail(p):
    raise DeviceError("the run failed")


OPERATIONS = [name for name in vars(Program) if name.partition("_")[0] in (
    "assign", "read", "move", "add", "fail", "save", "load",
) and name != "add"]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(devices, tmp_path, seed):
    program = Program(devices, tmp_path, seed)
    for name in program.rng.choice(OPERATIONS, 120):
        getattr(program, name)()
        program.check()
