//! libvirt's statistics by its C interface: the binding leaks every record.

use hostd_types::VmId;
use std::collections::HashMap;
use std::ffi::CStr;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

/// One domain's numbers.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) vm: VmId,
    numbers: HashMap<String, u64>,
}

impl Record {
    /// The number called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }
    /// The sum of `<group>.<n>.<name>` over all devices of a group.
    pub(crate) fn sum(&self, group: &str, name: &str) -> u64 {
        let count = self.get(&format!("{group}.count")).unwrap_or(0);
        (0..count).filter_map(|n| self.get(&format!("{group}.{n}.{name}"))).fold(0, u64::saturating_add)
    }
}

/// The numbers of `groups` of every domain that `flags` select.
pub(crate) fn of_all(connect: &Connect, groups: u32, flags: u32) -> Result<Vec<Record>, Error> {
    let mut records = std::ptr::null_mut();
    // SAFETY: the connection is alive; libvirt writes a list that `take` frees.
    let count =
        unsafe { sys::virConnectGetAllDomainStats(connect.as_ptr(), groups, &raw mut records, flags) };
    take(records, count)
}

/// The numbers of `groups` of one domain; none when libvirt skipped it.
pub(crate) fn of(domain: &Domain, groups: u32, flags: u32) -> Result<Option<Record>, Error> {
    let mut records = std::ptr::null_mut();
    // SAFETY: the domain is alive, the list ends with a null pointer as documented, libvirt writes a list that `take`
    // frees.
    let count = unsafe {
        let mut domains = [domain.as_ptr(), std::ptr::null_mut()];
        sys::virDomainListGetStats(domains.as_mut_ptr(), groups, &raw mut records, flags)
    };
    Ok(take(records, count)?.pop())
}

fn take(records: *mut sys::virDomainStatsRecordPtr, count: i32) -> Result<Vec<Record>, Error> {
    let Ok(count) = usize::try_from(count) else { return Err(Error::last_error()) };
    let mut taken = Vec::with_capacity(count);
    // SAFETY: libvirt returned `count` records; each holds a domain and `nparams` parameters, all valid until the list
    // is freed, once, at the end.
    unsafe {
        for index in 0..count {
            let record = &**records.add(index);
            let params = match usize::try_from(record.nparams) {
                Ok(length) if !record.params.is_null() => std::slice::from_raw_parts(record.params, length),
                _ => &[],
            };
            let numbers = params.iter().filter_map(|p| number(p)).collect();
            taken.extend(vm_of(record.dom).map(|vm| Record { vm, numbers }));
        }
        sys::virDomainStatsRecordListFree(records);
    }
    Ok(taken)
}

/// A whole number among the parameters; text and fractions are not asked for.
///
/// # Safety
/// `param` was written by libvirt.
unsafe fn number(param: &sys::virTypedParameter) -> Option<(String, u64)> {
    // SAFETY: libvirt ends the name with a null byte and sets the union's member that `type_` names.
    unsafe {
        let name = CStr::from_ptr(param.field.as_ptr()).to_str().ok()?.to_owned();
        let value = match u32::try_from(param.type_).ok()? {
            sys::VIR_TYPED_PARAM_INT => u64::try_from(param.value.i).ok()?,
            sys::VIR_TYPED_PARAM_UINT => u64::from(param.value.ui),
            sys::VIR_TYPED_PARAM_LLONG => u64::try_from(param.value.l).ok()?,
            sys::VIR_TYPED_PARAM_ULLONG => param.value.ul,
            _ => return None,
        };
        Some((name, value))
    }
}

/// The machine a domain is; none when libvirt can't tell.
///
/// # Safety
/// `domain` is a live domain.
pub(crate) unsafe fn vm_of(domain: sys::virDomainPtr) -> Option<VmId> {
    let mut bytes = [0_u8; 16];
    // SAFETY: libvirt writes 16 bytes (VIR_UUID_BUFLEN).
    let done = unsafe { sys::virDomainGetUUID(domain, bytes.as_mut_ptr()) };
    (done == 0).then(|| VmId::from_uuid(uuid::Uuid::from_bytes(bytes)))
}
