//! From a [`DomainPlan`] to libvirt's domain XML. Pure: what must be looked up on the host comes in [`Surroundings`].

mod device;
mod display;
#[cfg(test)]
mod golden;
mod host_device;
mod memory;
mod options;
mod share;

use crate::element::{Element, element};
use crate::plan::DomainPlan;
use hostd_types::{BootDevice, CpuMode, CpuModel, CpuTopology, Firmware, default_boot};
use std::path::{Path, PathBuf};

pub use device::{FIRST_DRIVE, card, cdrom, disk, scsi_controller, target};
pub use host_device::{host_device, seen as seen_host_devices};
pub use options::{CPU_PERIOD, bandwidth, disk_limits, limit_values, quota};

/// Namespace of our element in a domain's metadata.
pub const NAMESPACE: &str = "https://quantix.dev/xmlns/domain/1";
/// Where libvirt keeps the variables of UEFI machines; the file is named by the id, so that renaming a machine does
/// not lose them.
pub const NVRAM_DIR: &str = "/var/lib/libvirt/qemu/nvram";
/// Where libvirt keeps the state of TPMs, a folder for each machine, named by its id.
pub const TPM_DIR: &str = "/var/lib/libvirt/swtpm";
/// File in a machine's directory that its customization is read from.
pub const SEED_FILE: &str = "cidata.iso";
/// Code cache of an emulated machine, MiB; QEMU's own default grows to 1 GiB.
const TCG_CACHE_MIB: u32 = 64;
/// Free slots for devices plugged in later.
const SPARE_PORTS: usize = 6;
/// Devices every machine has on a port of its own: USB controller, serial bus, memory balloon, random numbers.
const STANDARD_PORTS: usize = 4;

/// What the XML depends on besides the plan.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Directory of this machine's sockets and logs.
    pub run_dir: PathBuf,
    /// For each disk of the plan: its file system takes direct I/O.
    pub direct: Vec<bool>,
}

impl Surroundings {
    /// Socket of the first serial port.
    pub fn serial_socket(&self) -> PathBuf {
        self.run_dir.join("serial.sock")
    }
    /// Log of the first serial port.
    pub fn serial_log(&self) -> PathBuf {
        self.run_dir.join("serial.log")
    }
    /// Socket of serial port `number`, from 1.
    pub fn further_serial_socket(&self, number: u32) -> PathBuf {
        self.run_dir.join(format!("serial{number}.sock"))
    }
    /// Socket of the channel called `name`.
    pub fn channel_socket(&self, name: &str) -> PathBuf {
        self.run_dir.join(format!("channel-{name}.sock"))
    }
    /// What the customization is read from.
    pub fn seed(&self) -> PathBuf {
        self.run_dir.join(SEED_FILE)
    }
    /// Socket of the screen.
    pub fn vnc_socket(&self) -> PathBuf {
        self.run_dir.join("vnc.sock")
    }
}

/// The domain XML of `plan`.
pub fn domain_xml(plan: &DomainPlan, around: &Surroundings) -> String {
    domain(plan, around).to_xml()
}

/// The same, not written out.
pub fn domain(plan: &DomainPlan, around: &Surroundings) -> Element {
    let kvm = plan.kvm;
    let mut domain = element("domain")
        .with("type", if kvm { "kvm" } else { "qemu" })
        .holding(element("name").saying(&plan.name))
        .holding(element("uuid").saying(plan.vm))
        .holding(
            element("metadata").holding(
                element("quantix:domain")
                    .with("xmlns:quantix", NAMESPACE)
                    .with("generation", plan.generation)
                    .with("cpus", plan.cpus)
                    .with_some("cpu", shown_cpu(plan).map(|cpu| cpu.label())),
            ),
        );
    if !plan.description.is_empty() {
        domain = domain.holding(element("description").saying(&plan.description));
    }
    domain
        .holding_all(memory::memory(plan))
        .holding(vcpus(plan))
        .holding_all(options::cpu_tune(&plan.options.cpu_share))
        .holding(boot_firmware(plan))
        .holding(features(plan))
        .holding(cpu(plan))
        .holding(clock(plan))
        .holding(element("on_poweroff").saying("destroy"))
        .holding(element("on_reboot").saying("restart"))
        .holding(element("on_crash").saying(options::on_crash(plan.options.on_crash)))
        .holding(devices(plan, around))
}

fn vcpus(plan: &DomainPlan) -> Element {
    let most = plan.headroom.most_cpus(plan.cpus);
    let vcpu = element("vcpu").with("placement", "static");
    if most > plan.cpus { vcpu.with("current", plan.cpus).saying(most) } else { vcpu.saying(most) }
}

fn boot_firmware(plan: &DomainPlan) -> Element {
    let machine = plan.machine_type.as_deref().unwrap_or("q35");
    let kind = element("type").with("arch", "x86_64").with("machine", machine).saying("hvm");
    match plan.firmware {
        Firmware::Bios => element("os").holding(kind),
        // Without the explicit feature libvirt picks a firmware that enforces Secure Boot.
        Firmware::Uefi => element("os")
            .with("firmware", "efi")
            .holding(kind)
            .holding(
                element("firmware")
                    .holding(element("feature").with("enabled", "no").with("name", "secure-boot")),
            )
            .holding(element("nvram").saying(nvram(plan.vm, false).display())),
        Firmware::UefiSecure => {
            let on = |name: &'static str| element("feature").with("enabled", "yes").with("name", name);
            element("os")
                .with("firmware", "efi")
                .holding(kind)
                .holding(element("firmware").holding_all(["enrolled-keys", "secure-boot"].map(on)))
                .holding(element("loader").with("secure", "yes"))
                .holding(element("nvram").saying(nvram(plan.vm, true).display()))
        }
    }
}

/// The file of a UEFI machine's variables. With Secure Boot it is another one: its keys are among them, and the file that was
/// made without has none.
pub fn nvram(vm: hostd_types::VmId, secure: bool) -> PathBuf {
    let kind = if secure { "SECURE_VARS" } else { "VARS" };
    Path::new(NVRAM_DIR).join(format!("{vm}_{kind}.fd"))
}

fn features(plan: &DomainPlan) -> Element {
    let secure = plan.firmware == Firmware::UefiSecure;
    let features = element("features")
        .holding(element("acpi"))
        .holding(element("apic"))
        // Without it a guest could write to what Secure Boot protects.
        .holding_all(secure.then(|| element("smm").with("state", "on")));
    if plan.kvm {
        return features.holding_all(plan.guest_os.profile().hyper_v.then(hyper_v));
    }
    let cache = element("tb-cache").with("unit", "MiB").saying(TCG_CACHE_MIB);
    features.holding(element("tcg").holding(cache))
}

/// What Windows knows to use when it runs on Hyper-V, which KVM plays for it (libvirt's `formatdomain`, hypervisor
/// features). The synthetic timer needs the synthetic interrupts, and these the virtual processors' index.
fn hyper_v() -> Element {
    let on = |name: &'static str| element(name).with("state", "on");
    element("hyperv")
        .with("mode", "custom")
        .holding_all(["relaxed", "vapic"].map(on))
        .holding(on("spinlocks").with("retries", 8191))
        .holding_all(["vpindex", "runtime", "synic", "stimer", "reset", "frequencies"].map(on))
}

/// The processor that all hosts can run, where the machine sees it.
pub fn shown_cpu(plan: &DomainPlan) -> Option<&CpuModel> {
    plan.host.cpu.as_ref().filter(|_| plan.kvm && plan.cpu_mode == CpuMode::Flexible)
}

/// A named model: refused rather than replaced by another one.
fn named_cpu(model: &CpuModel) -> Element {
    let feature = |policy: &'static str| {
        move |name: &String| element("feature").with("policy", policy).with("name", name)
    };
    element("cpu")
        .with("mode", "custom")
        .with("match", "exact")
        .with("check", "partial")
        .holding(element("model").with("fallback", "forbid").saying(&model.name))
        .holding_all(model.requires.iter().map(feature("require")))
        .holding_all(model.disables.iter().map(feature("disable")))
}

fn cpu(plan: &DomainPlan) -> Element {
    let cpu = match (plan.kvm, plan.cpu_mode) {
        // There is no processor of the host's to show.
        (false, _) => element("cpu").with("mode", "maximum").with("check", "none"),
        (true, CpuMode::Flexible) => match shown_cpu(plan) {
            Some(model) => named_cpu(model),
            None => element("cpu").with("mode", "host-model").with("check", "partial"),
        },
        // Also what keeps a guest from moving, such as the invariant clock.
        (true, CpuMode::Performance) => {
            element("cpu").with("mode", "host-passthrough").with("check", "none").with("migratable", "off")
        }
    };
    // Without it QEMU makes each CPU a socket, of which many guests' licences take two.
    let CpuTopology { sockets, threads } = plan.topology;
    let most = plan.headroom.most_cpus(plan.cpus);
    let cores = plan.topology.cores(most).unwrap_or(most);
    cpu.holding(element("topology").with("sockets", sockets).with("cores", cores).with("threads", threads))
        .holding_all(memory::numa(plan))
}

fn clock(plan: &DomainPlan) -> Element {
    let profile = plan.guest_os.profile();
    let clock = element("clock").with("offset", if profile.local_time { "localtime" } else { "utc" });
    if !plan.kvm {
        return clock; // an emulated guest needs the HPET when the host is busy
    }
    let timer = |name: &'static str, key: &'static str, value: &'static str| {
        element("timer").with("name", name).with(key, value)
    };
    clock
        .holding(timer("rtc", "tickpolicy", "catchup"))
        .holding(timer("pit", "tickpolicy", "delay"))
        .holding(timer("hpet", "present", "no"))
        .holding_all(profile.hyper_v.then(|| timer("hypervclock", "present", "yes")))
}

fn devices(plan: &DomainPlan, around: &Surroundings) -> Element {
    let order = boot_order(plan);
    let disks = device::disks(plan, &around.direct, &order.disks);
    let more = host_device::ports(plan) + share::ports(plan);
    element("devices")
        .holding_all(device::controllers(plan, STANDARD_PORTS + SPARE_PORTS + more))
        .holding_all(disks)
        .holding_all(device::cdroms(plan, &order.cdroms))
        .holding_all(plan.seed.map(|drive| device::seed(plan, drive, &around.seed())))
        .holding_all(share::shares(plan))
        .holding_all(device::nics(plan, &order.nics))
        .holding_all(display::serial(around))
        .holding_all(options::serial_ports(&plan.options, around))
        .holding(display::agent_channel())
        .holding_all(options::channels(&plan.options, around))
        .holding_all(display::screen(&plan.options.video, around))
        .holding(display::tablet())
        .holding_all(host_device::host_devices(plan))
        .holding(element("panic").with("model", "isa"))
        .holding(memory::balloon(plan))
        .holding_all(options::devices(&plan.options))
}

/// The place of each device in the firmware's list; none: never tried.
pub struct BootOrder {
    pub disks: Vec<Option<u32>>,
    pub cdroms: Vec<Option<u32>>,
    pub nics: Vec<Option<u32>>,
}

/// Devices with a place of their own come first, in its order; then the kinds of the boot order.
pub fn boot_order(plan: &DomainPlan) -> BootOrder {
    let mut order = BootOrder {
        disks: vec![None; plan.disks.len()],
        cdroms: vec![None; plan.more_cdroms.len() + 1],
        nics: vec![None; plan.nics.len()],
    };
    let disks = plan.disks.iter().enumerate().map(|(index, disk)| (disk.options.boot, false, index));
    let nics = plan.nics.iter().enumerate().map(|(index, nic)| (nic.options.boot, true, index));
    let mut own: Vec<_> = disks.chain(nics).filter(|(place, ..)| place.is_some()).collect();
    own.sort_unstable();
    let mut last = 0;
    for (_, is_nic, index) in own {
        last += 1;
        let places = if is_nic { &mut order.nics } else { &mut order.disks };
        places[index] = Some(last);
    }
    let wanted = if plan.boot.is_empty() { default_boot() } else { plan.boot.clone() };
    for class in wanted {
        let places: &mut [Option<u32>] = match class {
            BootDevice::Disk => &mut order.disks,
            BootDevice::Cdrom => &mut order.cdroms,
            BootDevice::Network => &mut order.nics,
        };
        for place in places.iter_mut().filter(|p| p.is_none()) {
            last += 1;
            *place = Some(last);
        }
    }
    order
}
