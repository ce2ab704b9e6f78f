//! Limits of a running machine: of its disks, and of its processor time. The binding lacks the calls.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::domain_xml::{self, CPU_PERIOD, limit_values, quota};
use crate::error::VirtError;
use crate::plan::DiskSource;
use hostd_types::{CpuShare, VmId};
use std::ffi::{CString, c_int};
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

/// Weight of processor time of a machine that names none, as cgroup v2 has it.
const SHARES: u64 = 100;

impl Hypervisor {
    /// Sets what a disk of a running machine may read and write.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn limit_disk(&self, vm: VmId, disk: &DiskSource) -> Result<(), VirtError> {
        let target = domain_xml::target(disk.bus, disk.slot);
        let values = limit_values(&disk.options.limits);
        let set = move |_: &_, domain: &Domain| {
            let target = CString::new(target.as_str()).unwrap_or_default();
            let mut wanted = Parameters::default();
            for (name, value) in &values {
                wanted.add(name, *value)?;
            }
            // SAFETY: the domain, the name and the parameters are alive during the call.
            ok(unsafe {
                sys::virDomainSetBlockIoTune(
                    domain.as_ptr(),
                    target.as_ptr(),
                    wanted.list,
                    wanted.count,
                    sys::VIR_DOMAIN_AFFECT_LIVE,
                )
            })
        };
        let done = self.shared.on_domain("set a disk's limits", vm, QUICK, set).await;
        self.shared.forget(vm);
        done
    }

    /// Sets weight and limit of a running machine's processor time.
    ///
    /// # Errors
    /// libvirt's refusal: it has no control of processor time.
    pub async fn share_cpus(&self, vm: VmId, share: CpuShare) -> Result<(), VirtError> {
        let set = move |_: &_, domain: &Domain| {
            let mut wanted = Parameters::default();
            wanted.add("cpu_shares", share.shares.map_or(SHARES, u64::from))?;
            wanted.add("global_period", CPU_PERIOD)?;
            wanted.add_signed(
                "global_quota",
                share.limit_percent.map_or(-1, |percent| i64::try_from(quota(percent)).unwrap_or(-1)),
            )?;
            // SAFETY: the domain and the parameters are alive during the call.
            ok(unsafe {
                sys::virDomainSetSchedulerParametersFlags(
                    domain.as_ptr(),
                    wanted.list,
                    wanted.count,
                    sys::VIR_DOMAIN_AFFECT_LIVE,
                )
            })
        };
        let done = self.shared.on_domain("set the share of processor time", vm, QUICK, set).await;
        self.shared.forget(vm);
        done
    }
}

fn ok(result: c_int) -> Result<(), Error> {
    if result < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// libvirt's list of named numbers; dropping it frees it.
struct Parameters {
    list: sys::virTypedParameterPtr,
    count: c_int,
    room: c_int,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { list: std::ptr::null_mut(), count: 0, room: 0 }
    }
}

impl Parameters {
    fn add(&mut self, name: &str, value: u64) -> Result<(), Error> {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: the list belongs to libvirt, which grows it; the name is copied.
        ok(unsafe {
            sys::virTypedParamsAddULLong(
                &mut self.list,
                &mut self.count,
                &mut self.room,
                name.as_ptr(),
                value,
            )
        })
    }
    fn add_signed(&mut self, name: &str, value: i64) -> Result<(), Error> {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: as above.
        ok(unsafe {
            sys::virTypedParamsAddLLong(&mut self.list, &mut self.count, &mut self.room, name.as_ptr(), value)
        })
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        // SAFETY: made by libvirt, freed once.
        unsafe { sys::virTypedParamsFree(self.list, self.count) };
    }
}
