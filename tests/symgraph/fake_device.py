"""A device in host memory that counts copies, for tests of where values are."""

import ctypes
import threading
import time
import weakref
from contextlib import contextmanager

import numpy as np

from symgraph.errors import DeviceError, DeviceMemoryError
from symgraph.residence import OPENERS, Residents
from symgraph.shared_lock import run_alone, run_shared


class Block:
    """Memory that is spoilt when it is given back."""

    def __init__(self, device, size):
        self._bytes = np.full(size + 8, 0xA5, np.uint8)
        self.address = self._bytes.ctypes.data
        device.live += size
        weakref.finalize(self, _free, device, self._bytes, size)


def _free(device, memory, size):
    memory.fill(0x5A)
    device.live -= size


class FakeDevice:
    """What `DeviceMemory` asks for; no device may be held while another one is used."""

    holders = threading.local()

    def __init__(self, name, room=1 << 30):
        self.name, self.room = name, room
        self.lock = threading.RLock()
        self.uploads = self.downloads = self.live = 0
        self.broken, self.delay = False, 0.0

    @contextmanager
    def using(self):
        held = vars(self.holders).setdefault("devices", [])
        assert all(device is self for device in held), "may hang"
        with self.lock:
            held.append(self)
            try:
                yield
            finally:
                held.pop()

    def allocate(self, size):
        assert self in self.holders.devices
        if self.live + size > self.room:
            raise DeviceMemoryError(f"{self.name} has no {size} bytes left")
        return Block(self, size)

    def _copy(self, target, source, size):
        if self.broken:
            raise DeviceError(f"{self.name} does not answer")
        with self.using():
            time.sleep(self.delay)
            ctypes.memmove(target, source, size)

    def upload(self, address, array):
        self._copy(address, array.ctypes.data, array.nbytes)
        self.uploads += 1

    def download(self, array, address):
        self._copy(array.ctypes.data, address, array.nbytes)
        self.downloads += 1

    def view(self, address, like):
        """Return the array at an address, of the shape and dtype of a parameter."""
        dtype = np.dtype(like.dtype)
        size = int(np.prod(like.shape)) * dtype.itemsize
        memory = (ctypes.c_char * max(size, 1)).from_address(address)
        return np.frombuffer(memory, dtype, size // dtype.itemsize).reshape(like.shape)


class DeviceFunction:
    """Stands for a function compiled for a device: `body(*views)` reads and writes parameters."""

    def __init__(self, device, parameters, written, body):
        self.device, self.parameters, self.written, self.body = device, parameters, written, body
        values = [parameter.residence for parameter in parameters]
        changed = [parameter.residence for parameter in written]
        self.residents = Residents(values, changed, device)
        self.locks = sorted((parameter.lock for parameter in parameters), key=id)
        self.bound = []

    def __call__(self):
        return (run_alone if self.written else run_shared)(self.locks, self._run)

    def _run(self):
        addresses = self.residents.bring()
        if not self.bound or self.bound[-1] is not addresses:
            self.bound.append(addresses)
        with self.device.using():
            return self.body(*map(self.device.view, addresses, self.parameters))


def installed(monkeypatch):
    """Return two devices that "cuda:0" and "cuda:1" open; the second one has little room."""
    found = [FakeDevice("cuda:0"), FakeDevice("cuda:1", room=4000)]

    def opened(name):
        number = int(name.partition(":")[2])
        if number >= len(found):
            raise DeviceError(f"there is no device {name!r}")
        return found[number]

    monkeypatch.setitem(OPENERS, "cuda", opened)
    return found


def copies(devices):
    """Return how many copies went to each device, and how many came back."""
    return [(device.uploads, device.downloads) for device in devices]


def adder(device, parameter):
    """Return a function on a device that adds 1 to a parameter."""

    def body(view):
        view += 1

    return DeviceFunction(device, [parameter], [parameter], body)


def reader(device, parameter):
    """Return a function on a device that returns a parameter."""
    return DeviceFunction(device, [parameter], [], lambda view: view.copy())
