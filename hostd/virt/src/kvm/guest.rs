//! A tiny guest on `/dev/kvm`. It does what a starting system does: real mode and port output, then 64-bit mode with
//! paging, a million memory writes through the page tables, `cpuid` (a trap into the host) and output again.

use nix::errno::Errno;
use nix::libc::{self, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;

const KVM_GET_API_VERSION: c_ulong = 0xAE00;
const KVM_CREATE_VM: c_ulong = 0xAE01;
const KVM_GET_VCPU_MMAP_SIZE: c_ulong = 0xAE04;
const KVM_CREATE_VCPU: c_ulong = 0xAE41;
const KVM_SET_TSS_ADDR: c_ulong = 0xAE47;
const KVM_RUN: c_ulong = 0xAE80;
const KVM_SET_USER_MEMORY_REGION: c_ulong = 0x4020_AE46;
const KVM_SET_REGS: c_ulong = 0x4090_AE82;
const KVM_GET_SREGS: c_ulong = 0x8138_AE83;
const KVM_SET_SREGS: c_ulong = 0x4138_AE84;
const EXIT_IO: u32 = 2;
const EXIT_HLT: u32 = 5;

/// Guest memory, bytes.
const MEMORY: usize = 1 << 20;
/// Where the guest's 16-bit and 64-bit code, its counter and its page tables are.
const REAL_CODE: usize = 0x8000;
const LONG_CODE: usize = 0x9000;
const COUNTER: usize = 0xA000;
const TABLES: [usize; 3] = [0x1000, 0x2000, 0x3000];
/// Rounds of the counting loop.
const ROUNDS: u32 = 1_000_000;

/// `mov dx,0x3f8; mov al,'R'; out dx,al; hlt`
const REAL: &[u8] = &[0xBA, 0xF8, 0x03, 0xB0, b'R', 0xEE, 0xF4];
/// `mov rcx,1000000; mov rdi,0xa000; again: add qword [rdi],1; dec rcx; jnz again; xor eax,eax; cpuid;
/// mov dx,0x3f8; mov al,'L'; out dx,al; hlt`
const LONG: &[u8] = &[
    0x48, 0xC7, 0xC1, 0x40, 0x42, 0x0F, 0x00, 0x48, 0xC7, 0xC7, 0x00, 0xA0, 0x00, 0x00, 0x48, 0x83, 0x07,
    0x01, 0x48, 0xFF, 0xC9, 0x75, 0xF7, 0x31, 0xC0, 0x0F, 0xA2, 0x66, 0xBA, 0xF8, 0x03, 0xB0, b'L', 0xEE,
    0xF4,
];

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest: u64,
    size: u64,
    host: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Registers {
    general: [u64; 16],
    rip: u64,
    rflags: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    rest: [u8; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SpecialRegisters {
    code: Segment,
    data: [Segment; 5],
    task_and_local: [Segment; 2],
    tables: [u64; 4],
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [u64; 4],
}

/// Runs the guest.
///
/// # Errors
/// A clause that says what did not work.
pub fn run() -> Result<(), String> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let device = device.map_err(|e| format!("/dev/kvm can't be opened: {e}"))?;
    if ask(&device, KVM_GET_API_VERSION, 0, "its version")? != 12 {
        return Err("/dev/kvm speaks another version".into());
    }
    let vm = made(ask(&device, KVM_CREATE_VM, 0, "a virtual machine")?);
    ask(&vm, KVM_SET_TSS_ADDR, 0xFFFB_D000, "a task segment").ok(); // only old Intel needs it
    let memory = Mapping::anonymous(MEMORY)?;
    memory.write(REAL_CODE, REAL);
    memory.write(LONG_CODE, LONG);
    for (index, entry) in [TABLES[1] as u64 | 3, TABLES[2] as u64 | 3, 0x83].into_iter().enumerate() {
        memory.write(TABLES[index], &entry.to_le_bytes());
    }
    let region = MemoryRegion { slot: 0, flags: 0, guest: 0, size: MEMORY as u64, host: memory.start as u64 };
    ask(&vm, KVM_SET_USER_MEMORY_REGION, &raw const region as c_ulong, "memory")?;
    let cpu = made(ask(&vm, KVM_CREATE_VCPU, 0, "a virtual processor")?);
    let size = ask(&device, KVM_GET_VCPU_MMAP_SIZE, 0, "the processor's state")?;
    let state = Mapping::of(&cpu, usize::try_from(size).map_err(|e| e.to_string())?)?;

    let mut special = SpecialRegisters::default();
    ask(&cpu, KVM_GET_SREGS, &raw mut special as c_ulong, "its registers")?;
    special.code.base = 0;
    special.code.selector = 0;
    step(&cpu, &state, &special, REAL_CODE, b'R', "in real mode")?;
    step(&cpu, &state, &long_mode(special), LONG_CODE, b'L', "in 64-bit mode")?;
    let counted = u64::from_le_bytes(memory.read(COUNTER));
    if counted != u64::from(ROUNDS) {
        return Err(format!("/dev/kvm is there, but a guest on it counts to {counted}, not {ROUNDS}"));
    }
    Ok(())
}

fn long_mode(mut special: SpecialRegisters) -> SpecialRegisters {
    let flat = Segment { limit: u32::MAX, present: 1, s: 1, g: 1, ..Segment::default() };
    special.code = Segment { selector: 8, kind: 11, l: 1, ..flat };
    special.data = [Segment { selector: 16, kind: 3, db: 1, ..flat }; 5];
    special.cr3 = TABLES[0] as u64;
    special.cr4 = 1 << 5; // PAE
    special.cr0 = 0x8000_0033; // protection, paging, FPU error reporting
    special.efer = 0x500; // long mode enabled and active
    special
}

/// Runs the code at `start` until it halts; it must have printed `letter` once.
fn step(
    cpu: &File,
    state: &Mapping,
    special: &SpecialRegisters,
    start: usize,
    letter: u8,
    mode: &str,
) -> Result<(), String> {
    ask(cpu, KVM_SET_SREGS, &raw const *special as c_ulong, "new registers")?;
    let registers = Registers { rip: start as u64, rflags: 2, ..Registers::default() };
    ask(cpu, KVM_SET_REGS, &raw const registers as c_ulong, "new registers")?;
    let mut printed = Vec::new();
    loop {
        ask(cpu, KVM_RUN, 0, &format!("a run {mode}"))?;
        match u32::from_le_bytes(state.read(8)) {
            EXIT_IO if printed.len() < 4 => {
                let at = usize::try_from(u64::from_le_bytes(state.read(40))).unwrap_or(usize::MAX);
                printed.push(state.byte(at));
            }
            EXIT_HLT if printed == [letter] => return Ok(()),
            other => {
                return Err(format!("/dev/kvm is there, but a guest {mode} fails on it (exit {other})"));
            }
        }
    }
}

fn ask(file: &File, request: c_ulong, argument: c_ulong, what: &str) -> Result<i32, String> {
    // SAFETY: the requests used here take a number or a pointer to a live structure of the kernel's layout.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), request, argument) };
    if done < 0 {
        return Err(format!("/dev/kvm is there, but refuses {what}: {}", Errno::last()));
    }
    Ok(done)
}

fn made(fd: i32) -> File {
    // SAFETY: the kernel has just returned this descriptor and nobody else owns it.
    unsafe { File::from_raw_fd(fd) }
}

/// Mapped memory, unmapped when dropped.
struct Mapping {
    start: *mut u8,
    size: usize,
}

impl Mapping {
    fn anonymous(size: usize) -> Result<Self, String> {
        Self::new(size, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }
    fn of(file: &File, size: usize) -> Result<Self, String> {
        Self::new(size, libc::MAP_SHARED, file.as_raw_fd())
    }
    fn new(size: usize, flags: i32, fd: i32) -> Result<Self, String> {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(format!("no memory for a guest: {}", Errno::last()));
        }
        Ok(Self { start: start.cast(), size })
    }
    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.size, "inside the mapping");
        // SAFETY: inside the mapping, as just checked; the guest does not run meanwhile.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) };
    }
    fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.byte(at.saturating_add(index)))
    }
    fn byte(&self, at: usize) -> u8 {
        if at >= self.size {
            return 0;
        }
        // SAFETY: inside the mapping; volatile, because the kernel and the guest write there.
        unsafe { self.start.add(at).read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size.
        unsafe { libc::munmap(self.start.cast::<c_void>(), self.size) };
    }
}
