//! Screen and serial console of a machine. Bytes flow between the caller and QEMU's own sockets; libvirt only tells
//! where they are.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::error::VirtError;
use crate::observe::definition_of;
use crate::plan::Consoles;
use hostd_types::VmId;
use std::sync::Arc;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::stream::Stream;

/// Largest picture taken, bytes.
const PICTURE_MAX: usize = 64 << 20;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

impl Hypervisor {
    /// Where the machine's consoles are; the sockets only while it is active.
    ///
    /// # Errors
    /// When there is no such domain.
    pub async fn consoles(&self, vm: VmId) -> Result<Consoles, VirtError> {
        let shared = Arc::clone(&self.shared);
        let find = move |connect: &Connect, domain: &Domain| {
            let active = domain.is_active()?;
            let found = definition_of(&shared, connect, vm, active)?.definition.consoles.clone();
            Ok(if active { found } else { Consoles { vnc: None, serial: None, ..found } })
        };
        let mut found = self.shared.on_domain("find the consoles", vm, QUICK, find).await?;
        found.serial_log = found.serial_log.filter(|log| log.exists());
        Ok(found)
    }

    /// PNG of the screen, as far as the guest shows one.
    ///
    /// # Errors
    /// When the machine is not running, or this QEMU makes no PNG.
    pub async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, VirtError> {
        let picture = self.shared.on_domain("take a picture of the screen", vm, QUICK, take).await?;
        if picture.starts_with(PNG) {
            return Ok(picture);
        }
        Err(VirtError::local("take a picture of the screen", "this QEMU does not make PNG pictures"))
    }
}

fn take(connect: &Connect, domain: &Domain) -> Result<Vec<u8>, Error> {
    let stream = Stream::new(connect, 0)?;
    domain.screenshot(&stream, 0, 0)?;
    let mut picture = Vec::new();
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        let count = usize::try_from(stream.recv(&mut buffer)?).unwrap_or(0);
        if count == 0 || picture.len() + count > PICTURE_MAX {
            break;
        }
        picture.extend_from_slice(&buffer[..count]);
    }
    stream.finish()?;
    Ok(picture)
}
