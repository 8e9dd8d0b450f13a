"""Maps a page of native code and jumps into it."""

import ctypes
import mmap

STOPPED_AT = None
# ctypes and NumPy are native code; the walls are the kernel's and bind any code alike.
THROUGH_AT = "L3"


def attack(t):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b82a000000c3"))  # mov eax, 42; ret
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() == 42
