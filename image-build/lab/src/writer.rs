//! A guest of 512 bytes that writes: with each tick of the timer (18 a second) it counts up and writes the number, a
//! sector full of it, behind the sectors written before, around a ring. So a disk is what it was at some moment if, and
//! only if, the sectors of the ring hold the numbers up to the largest one.

/// First sector of the ring.
const RING_AT: usize = 64;
/// Sectors of the ring.
const RING: u32 = 1024;

/// The program; all addresses are absolute, from 0x7c00.
const CODE: &[u8] = &[
    0xfa, // 00        cli
    0x31, 0xc0, // 01        xor ax, ax
    0x8e, 0xd8, // 03        mov ds, ax
    0x8e, 0xc0, // 05        mov es, ax
    0x8e, 0xd0, // 07        mov ss, ax
    0xbc, 0x00, 0x7c, // 09        mov sp, 0x7c00
    0xfb, // 0c        sti
    0xfc, // 0d        cld
    0x88, 0x16, 0x45, 0x7c, // 0e        mov [drive], dl
    0x66, 0xff, 0x06, 0x46, 0x7c, // 12 next:  inc dword [number]
    0xbf, 0x00, 0x80, // 17        mov di, 0x8000
    0xb9, 0x80, 0x00, // 1a        mov cx, 128
    0x66, 0xa1, 0x46, 0x7c, // 1d        mov eax, [number]
    0xf3, 0x66, 0xab, // 21        rep stosd
    0x66, 0xa1, 0x46, 0x7c, // 24        mov eax, [number]
    0x66, 0x25, 0xff, 0x03, 0x00, 0x00, // 28        and eax, 1023
    0x66, 0x83, 0xc0, 0x40, // 2e        add eax, 64
    0x66, 0xa3, 0x52, 0x7c, // 32        mov [sector], eax
    0xbe, 0x4a, 0x7c, // 36        mov si, packet
    0x8a, 0x16, 0x45, 0x7c, // 39        mov dl, [drive]
    0xb8, 0x00, 0x43, // 3d        mov ax, 0x4300   ; extended write
    0xcd, 0x13, // 40        int 0x13
    0xf4, // 42        hlt              ; until the timer ticks
    0xeb, 0xcd, // 43        jmp next
    0x00, // 45 drive
    0x00, 0x00, 0x00, 0x00, // 46 number
    0x10, 0x00, 0x01, 0x00, 0x00, 0x80, 0x00, 0x00, // 4a packet: 1 sector from 0:8000
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // 52 sector
];

/// A raw disk image of `size` bytes (at least 1 MiB) that starts the guest.
pub fn image(size: usize) -> Vec<u8> {
    let mut disk = vec![0; size.max(1 << 20)];
    disk[..CODE.len()].copy_from_slice(CODE);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// The largest number on the disk `content`, if the disk is what it was at some moment.
///
/// # Errors
/// Says which sector holds something that was never there together with the rest.
pub fn written(content: &[u8]) -> Result<u32, String> {
    let mut found = Vec::new();
    for sector in content.chunks_exact(512).skip(RING_AT).take(RING as usize) {
        let word =
            |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
        if (0..512).step_by(4).any(|at| word(at) != word(0)) {
            return Err("a sector holds two numbers".into());
        }
        found.push(word(0));
    }
    let last = found.iter().copied().max().unwrap_or(0);
    for (place, number) in (0..RING).zip(&found) {
        let back = last.wrapping_sub(place) % RING;
        let wanted = last.saturating_sub(back);
        if *number != wanted {
            return Err(format!("the last number is {last}, but place {place} holds {number}, not {wanted}"));
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_write_is_found() {
        let mut disk = image(1 << 20);
        assert_eq!(written(&disk), Ok(0));
        let mut put = |number: u32| {
            let at = (RING_AT + (number % RING) as usize) * 512;
            disk[at..at + 512].copy_from_slice(&number.to_le_bytes().repeat(128));
        };
        (1..=1500).for_each(&mut put);
        let whole = disk.clone();
        assert_eq!(written(&whole), Ok(1500));
        disk[(RING_AT + 1400 % 1024) * 512..][..512].fill(0);
        assert!(written(&disk).is_err());
    }
}
