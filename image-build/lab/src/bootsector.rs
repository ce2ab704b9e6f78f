//! A guest of 512 bytes: it prints a line on COM1 (115200 baud) and on the screen, prints it again at Enter, echoes what
//! else is typed on COM1, and switches itself off when the power button is pressed. It boots within seconds even in emulation inside emulation,
//! which makes it the guest of choice for everything that is about the machine and not about its operating system.

/// Longest line a boot sector can carry, bytes.
pub const LINE_MAX: usize = 360;

/// Where the BIOS puts the sector.
const LOADED_AT: u16 = 0x7c00;

/// The program; the text follows it. Jumps are relative, the one absolute address is the text's.
const CODE: &[u8] = &[
    0xfa, // 00        cli
    0x31, 0xc0, // 01        xor ax, ax
    0x8e, 0xd8, // 03        mov ds, ax
    0x8e, 0xd0, // 05        mov ss, ax
    0xbc, 0x00, 0x7c, // 07        mov sp, 0x7c00
    0xfb, // 0a        sti
    0xfc, // 0b        cld
    // COM1: 115200 baud, 8 data bits, no parity, DTR and RTS on.
    0xba, 0xfb, 0x03, // 0c        mov dx, 0x3fb    ; line control
    0xb0, 0x80, // 0f        mov al, 0x80     ; divisor follows
    0xee, // 11        out dx, al
    0xba, 0xf8, 0x03, // 12        mov dx, 0x3f8
    0xb0, 0x01, // 15        mov al, 1        ; 115200 / 1
    0xee, // 17        out dx, al
    0x42, // 18        inc dx
    0x30, 0xc0, // 19        xor al, al
    0xee, // 1b        out dx, al
    0xba, 0xfb, 0x03, // 1c        mov dx, 0x3fb
    0xb0, 0x03, // 1f        mov al, 3        ; 8N1
    0xee, // 21        out dx, al
    0x42, // 22        inc dx           ; modem control
    0xee, // 23        out dx, al
    // The power button sets a bit we can poll: PM1 enable, bit 8 (QEMU's power management block is at 0x600).
    0xba, 0x02, 0x06, // 24        mov dx, 0x602
    0xb8, 0x00, 0x01, // 27        mov ax, 0x100
    0xef, // 2a        out dx, ax
    0xbe, 0x00, 0x00, // 2b again: mov si, text     ; patched
    0xac, // 2e print: lodsb
    0x84, 0xc0, // 2f        test al, al
    0x74, 0x05, // 31        jz idle
    0xe8, 0x2a, 0x00, // 33        call put
    0xeb, 0xf6, // 36        jmp print
    0xf4, // 38 idle:  hlt              ; the timer wakes us 18 times a second
    0xba, 0x00, 0x06, // 39 poll:  mov dx, 0x600
    0xed, // 3c        in ax, dx        ; PM1 status
    0xf6, 0xc4, 0x01, // 3d        test ah, 1       ; power button
    0x75, 0x15, // 40        jnz off
    0xba, 0xfd, 0x03, // 42        mov dx, 0x3fd    ; line status
    0xec, // 45        in al, dx
    0xa8, 0x01, // 46        test al, 1       ; a character is there
    0x74, 0xee, // 48        jz idle
    0xba, 0xf8, 0x03, // 4a        mov dx, 0x3f8
    0xec, // 4d        in al, dx
    0x3c, 0x0d, // 4e        cmp al, 13       ; Enter: print the text again
    0x74, 0xd9, // 50        je again
    0xe8, 0x0b, 0x00, // 52        call put
    0xeb, 0xe2, // 55        jmp poll
    0xba, 0x04, 0x06, // 57 off:   mov dx, 0x604    ; PM1 control
    0xb8, 0x00, 0x20, // 5a        mov ax, 0x2000   ; sleep enable, type S5
    0xef, // 5d        out dx, ax
    0xeb, 0xfe, // 5e        jmp $
    0x50, // 60 put:   push ax
    0xba, 0xfd, 0x03, // 61        mov dx, 0x3fd
    0xec, // 64 wait:  in al, dx
    0xa8, 0x20, // 65        test al, 0x20    ; transmitter empty
    0x74, 0xfb, // 67        jz wait
    0x58, // 69        pop ax
    0xba, 0xf8, 0x03, // 6a        mov dx, 0x3f8
    0xee, // 6d        out dx, al
    0xb4, 0x0e, // 6e        mov ah, 0xe      ; teletype
    0xbb, 0x07, 0x00, // 70        mov bx, 7
    0xcd, 0x10, // 73        int 0x10
    0xc3, // 75        ret
];

/// Offset of the text's address in [`CODE`].
const TEXT_ADDRESS: usize = 0x2c;

/// A raw disk image of `size` bytes (at least one sector) whose boot sector prints `line` and a line end.
///
/// # Panics
/// When `line` is longer than [`LINE_MAX`] or not ASCII: the caller writes it as a literal.
pub fn image(line: &str, size: usize) -> Vec<u8> {
    assert!(line.is_ascii() && line.len() <= LINE_MAX, "a boot sector holds {LINE_MAX} ASCII characters");
    let mut disk = vec![0; size.max(512)];
    disk[..CODE.len()].copy_from_slice(CODE);
    let text = CODE.len();
    let address = LOADED_AT + text as u16;
    disk[TEXT_ADDRESS..TEXT_ADDRESS + 2].copy_from_slice(&address.to_le_bytes());
    disk[text..text + line.len()].copy_from_slice(line.as_bytes());
    disk[text + line.len()..text + line.len() + 2].copy_from_slice(b"\r\n");
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Reads one sector of the first CD-ROM drive that has a medium to [`READ_TO`], through the BIOS, before [`CODE`].
const READER: &[u8] = &[
    0x31, 0xc0, // 00        xor ax, ax
    0x8e, 0xd8, // 02        mov ds, ax
    0x8e, 0xd0, // 04        mov ss, ax
    0xbc, 0x00, 0x7c, // 06        mov sp, 0x7c00
    0xb2, 0xe0, // 09        mov dl, 0xe0     ; SeaBIOS' first CD-ROM drive
    0xbe, 0x21, 0x7c, // 0b next:  mov si, packet
    0xc6, 0x44, 0x02, 0x01, // 0e        mov byte [si+2], 1  ; a drive that failed has put 0 there
    0xb4, 0x42, // 12        mov ah, 0x42     ; extended read
    0x52, // 14        push dx
    0xcd, 0x13, // 15        int 0x13
    0x5a, // 17        pop dx
    0x73, 0x19, // 18        jnc done
    0xfe, 0xc2, // 1a        inc dl
    0x80, 0xfa, 0xe8, // 1c        cmp dl, 0xe8
    0xeb, 0x10, // 1f        jmp more
    0x10, 0x00, 0x01, 0x00, // 21 packet: 16 bytes, one block,
    0x00, 0x80, 0x00, 0x00, // 25        to 0000:8000,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // 29  from this sector  ; patched
    0x75, 0xd8, // 31 more:  jne next
];

/// Offset of the sector's number in [`READER`].
const SECTOR_NUMBER: usize = 0x29;
/// Where the sector is put.
const READ_TO: u16 = 0x8000;

/// A raw disk image of `size` bytes whose boot sector prints what `sector` (of 2048 bytes) of the first CD that is in a drive
/// holds, up to its first zero.
pub fn cd_reader(sector: u32, size: usize) -> Vec<u8> {
    let mut disk = vec![0; size.max(512)];
    disk[..READER.len()].copy_from_slice(READER);
    disk[SECTOR_NUMBER..SECTOR_NUMBER + 4].copy_from_slice(&sector.to_le_bytes());
    let code = READER.len();
    disk[code..code + CODE.len()].copy_from_slice(CODE);
    disk[code + TEXT_ADDRESS..code + TEXT_ADDRESS + 2].copy_from_slice(&READ_TO.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}
