//! Screen and serial console of a machine. Bytes flow between the caller and QEMU's own sockets; libvirt only tells
//! where they are.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::connection::locked;
use crate::error::VirtError;
use crate::observe::definition_of;
use crate::picture;
use crate::plan::Consoles;
use hostd_types::VmId;
use std::sync::Arc;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::stream::Stream;

/// Largest picture taken, bytes.
const PICTURE_MAX: usize = 64 << 20;
const OPERATION: &str = "take a picture of the screen";

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
    /// When the machine is not running, or shows nothing.
    pub async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, VirtError> {
        let lane = &self.shared.pictures;
        let take = move |connect: &Connect| take(connect, &connect.lookup_domain_by_uuid(vm.uuid())?);
        let taken = self.shared.call(lane, OPERATION, QUICK, take).await?;
        picture::png(taken).map_err(|why| VirtError::local(OPERATION, why))
    }

    /// The same made small: at most [`picture::SMALL`] pixels wide.
    ///
    /// # Errors
    /// The same; also while an earlier picture of this machine was asked for and has not come.
    pub async fn thumbnail(&self, vm: VmId) -> Result<Vec<u8>, VirtError> {
        let under_way = Arc::clone(&self.shared.pictured);
        if !locked(&under_way).insert(vm) {
            return Err(VirtError::local(OPERATION, "QEMU has not given the last one yet"));
        }
        let take = move |connect: &Connect| {
            let taken = connect.lookup_domain_by_uuid(vm.uuid()).and_then(|domain| take(connect, &domain));
            locked(&under_way).remove(&vm);
            Ok(picture::small(&taken?))
        };
        let called = self.shared.call(&self.shared.pictures, OPERATION, QUICK, take).await;
        called?.map_err(|why| VirtError::local(OPERATION, why))
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
