//! What is known of operating systems: which timers, devices and room a guest of each kind wants. Data, no behaviour:
//! whoever makes a machine may choose otherwise.

use crate::{DiskBus, Firmware, NicModel};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The operating system inside a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestOs {
    /// Nothing is known of it.
    #[default]
    Other,
    /// A Linux that is not among the others.
    Linux,
    /// Alpine Linux.
    Alpine,
    /// Arch Linux and its kin.
    Arch,
    /// Debian.
    Debian,
    /// Fedora.
    Fedora,
    /// Red Hat Enterprise Linux, CentOS, Rocky, AlmaLinux, Oracle.
    RedHat,
    /// SUSE and openSUSE.
    Suse,
    /// Ubuntu.
    Ubuntu,
    /// Windows 10.
    Windows10,
    /// Windows 11.
    Windows11,
    /// Windows Server 2016 and later.
    WindowsServer,
    /// FreeBSD.
    FreeBsd,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
}

/// Kinds of operating systems, in the order in which they are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestFamily {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// The BSDs.
    Bsd,
    /// Anything else.
    Other,
}

/// What a guest of one kind wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct GuestProfile {
    /// The operating system.
    pub os: GuestOs,
    /// Its name for people.
    pub name: &'static str,
    /// Its kind.
    pub family: GuestFamily,
    /// It keeps the hardware clock in local time; otherwise in UTC.
    pub local_time: bool,
    /// It profits from Hyper-V's interfaces, and from Hyper-V's clock instead of the HPET.
    pub hyper_v: bool,
    /// Firmware its installer expects today.
    pub firmware: Firmware,
    /// It asks for a TPM 2.0.
    pub tpm: bool,
    /// Bus of its disks that it has a driver for from the start.
    pub disk_bus: DiskBus,
    /// Network card that it has a driver for from the start.
    pub nic: NicModel,
    /// Fewest CPUs that its maker names.
    pub min_cpus: u32,
    /// Least memory that its maker names, MiB.
    pub min_memory_mib: u64,
    /// Smallest system disk that its maker names, GiB.
    pub min_disk_gib: u64,
}

const LINUX: GuestProfile = GuestProfile {
    os: GuestOs::Linux,
    name: "Linux",
    family: GuestFamily::Linux,
    local_time: false,
    hyper_v: false,
    firmware: Firmware::Bios,
    tpm: false,
    disk_bus: DiskBus::Virtio,
    nic: NicModel::Virtio,
    min_cpus: 1,
    min_memory_mib: 256,
    min_disk_gib: 1,
};
const WINDOWS: GuestProfile = GuestProfile {
    os: GuestOs::Windows10,
    name: "Windows 10",
    family: GuestFamily::Windows,
    local_time: true,
    hyper_v: true,
    firmware: Firmware::Uefi,
    tpm: false,
    // Its installer has no virtio drivers.
    disk_bus: DiskBus::Sata,
    nic: NicModel::E1000,
    min_cpus: 1,
    min_memory_mib: 2048,
    min_disk_gib: 32,
};
const BSD: GuestProfile = GuestProfile {
    os: GuestOs::FreeBsd,
    name: "FreeBSD",
    family: GuestFamily::Bsd,
    min_disk_gib: 8,
    ..LINUX
};

const fn linux(os: GuestOs, name: &'static str, min_memory_mib: u64, min_disk_gib: u64) -> GuestProfile {
    GuestProfile { os, name, min_memory_mib, min_disk_gib, ..LINUX }
}

/// Every profile, by family. The least sizes are those in the makers' installation guides.
pub const GUEST_PROFILES: [GuestProfile; 15] = [
    linux(GuestOs::Alpine, "Alpine Linux", 128, 1),
    linux(GuestOs::Arch, "Arch Linux", 512, 2),
    linux(GuestOs::Debian, "Debian", 512, 4),
    linux(GuestOs::Fedora, "Fedora", 2048, 15),
    linux(GuestOs::RedHat, "Red Hat, CentOS, Rocky, Alma, Oracle", 1536, 10),
    linux(GuestOs::Suse, "SUSE, openSUSE", 1024, 10),
    linux(GuestOs::Ubuntu, "Ubuntu", 1024, 5),
    GuestProfile { name: "Another Linux", ..LINUX },
    WINDOWS,
    GuestProfile {
        os: GuestOs::Windows11,
        name: "Windows 11",
        firmware: Firmware::UefiSecure,
        tpm: true,
        min_cpus: 2,
        min_memory_mib: 4096,
        min_disk_gib: 64,
        ..WINDOWS
    },
    GuestProfile { os: GuestOs::WindowsServer, name: "Windows Server 2016 and later", ..WINDOWS },
    BSD,
    GuestProfile { os: GuestOs::NetBsd, name: "NetBSD", min_disk_gib: 4, ..BSD },
    GuestProfile { os: GuestOs::OpenBsd, name: "OpenBSD", min_disk_gib: 4, ..BSD },
    GuestProfile {
        os: GuestOs::Other,
        name: "Something else",
        family: GuestFamily::Other,
        min_memory_mib: 0,
        min_disk_gib: 0,
        ..LINUX
    },
];

/// Words in the names of images and what they stand for; the first that is found counts.
const SIGNS: [(&str, GuestOs); 44] = [
    ("windows server", GuestOs::WindowsServer),
    ("win server", GuestOs::WindowsServer),
    ("server eval", GuestOs::WindowsServer),
    ("server 2016", GuestOs::WindowsServer),
    ("server 2019", GuestOs::WindowsServer),
    ("server 2022", GuestOs::WindowsServer),
    ("server 2025", GuestOs::WindowsServer),
    ("windows 11", GuestOs::Windows11),
    ("windows11", GuestOs::Windows11),
    ("win11", GuestOs::Windows11),
    ("win 11", GuestOs::Windows11),
    ("windows", GuestOs::Windows10),
    ("win10", GuestOs::Windows10),
    ("win 10", GuestOs::Windows10),
    ("kubuntu", GuestOs::Ubuntu),
    ("ubuntu", GuestOs::Ubuntu),
    ("focal", GuestOs::Ubuntu),
    ("jammy", GuestOs::Ubuntu),
    ("noble", GuestOs::Ubuntu),
    ("debian", GuestOs::Debian),
    ("bullseye", GuestOs::Debian),
    ("bookworm", GuestOs::Debian),
    ("trixie", GuestOs::Debian),
    ("fedora", GuestOs::Fedora),
    ("rhel", GuestOs::RedHat),
    ("red hat", GuestOs::RedHat),
    ("redhat", GuestOs::RedHat),
    ("centos", GuestOs::RedHat),
    ("rocky", GuestOs::RedHat),
    ("almalinux", GuestOs::RedHat),
    ("oraclelinux", GuestOs::RedHat),
    ("oracle linux", GuestOs::RedHat),
    ("opensuse", GuestOs::Suse),
    ("suse", GuestOs::Suse),
    ("sles", GuestOs::Suse),
    ("archlinux", GuestOs::Arch),
    ("arch linux", GuestOs::Arch),
    ("manjaro", GuestOs::Arch),
    ("alpine", GuestOs::Alpine),
    ("freebsd", GuestOs::FreeBsd),
    ("openbsd", GuestOs::OpenBsd),
    ("netbsd", GuestOs::NetBsd),
    ("linux", GuestOs::Linux),
    ("talos", GuestOs::Linux),
];

impl GuestOs {
    /// What it wants.
    pub fn profile(self) -> &'static GuestProfile {
        // Each has one; the test says so.
        let found = GUEST_PROFILES.iter().find(|profile| profile.os == self);
        found.unwrap_or(&GUEST_PROFILES[GUEST_PROFILES.len() - 1])
    }

    /// The word for it in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            GuestOs::Other => "other",
            GuestOs::Linux => "linux",
            GuestOs::Alpine => "alpine",
            GuestOs::Arch => "arch",
            GuestOs::Debian => "debian",
            GuestOs::Fedora => "fedora",
            GuestOs::RedHat => "red_hat",
            GuestOs::Suse => "suse",
            GuestOs::Ubuntu => "ubuntu",
            GuestOs::Windows10 => "windows10",
            GuestOs::Windows11 => "windows11",
            GuestOs::WindowsServer => "windows_server",
            GuestOs::FreeBsd => "free_bsd",
            GuestOs::NetBsd => "net_bsd",
            GuestOs::OpenBsd => "open_bsd",
        }
    }

    /// By [`GuestOs::as_str`].
    pub fn named(word: &str) -> Option<Self> {
        GUEST_PROFILES.iter().map(|profile| profile.os).find(|os| os.as_str() == word)
    }

    /// By what an image is called (`debian-12-genericcloud-amd64`, `Win11_24H2_x64`); nothing when the name says nothing.
    pub fn of_image(name: &str) -> Option<Self> {
        let words: String =
            name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
        SIGNS.iter().find(|(sign, _)| words.contains(sign)).map(|(_, os)| *os)
    }

    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl GuestProfile {
    /// What a machine has less of than the guest's maker asks for, in sentences; `disk_bytes` is its largest disk, if it has
    /// one.
    pub fn shortfalls(&self, cpus: u32, memory_mib: u64, disk_bytes: Option<u64>) -> Vec<String> {
        let mut found = Vec::new();
        let name = self.name;
        if cpus < self.min_cpus {
            found.push(format!("{name} asks for at least {} CPUs; this machine has {cpus}.", self.min_cpus));
        }
        if memory_mib < self.min_memory_mib {
            let least = self.min_memory_mib;
            found.push(format!(
                "{name} asks for at least {least} MiB of memory; this machine has {memory_mib} MiB."
            ));
        }
        if let Some(bytes) = disk_bytes.filter(|bytes| *bytes < self.min_disk_gib << 30) {
            let (least, has) = (self.min_disk_gib, bytes >> 30);
            found.push(format!(
                "{name} asks for a disk of at least {least} GiB; the largest here has {has} GiB."
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_one_profile_and_one_word() {
        for profile in GUEST_PROFILES {
            assert_eq!(profile.os.profile(), &profile);
            assert_eq!(GuestOs::named(profile.os.as_str()), Some(profile.os));
            let wire = serde_json::to_value(profile.os).unwrap();
            assert_eq!(wire, profile.os.as_str());
        }
        assert_eq!(GuestOs::named("dos"), None);
    }

    #[test]
    fn images_are_known_by_their_names() {
        for (name, os) in [
            ("debian-12-genericcloud-amd64.qcow2", GuestOs::Debian),
            ("noble-server-cloudimg-amd64", GuestOs::Ubuntu),
            ("Win11_24H2_English_x64.iso", GuestOs::Windows11),
            ("windows_server_2022_eval", GuestOs::WindowsServer),
            ("SERVER_EVAL_x64FRE_en-us", GuestOs::WindowsServer),
            ("Windows 10 Enterprise", GuestOs::Windows10),
            ("Rocky-9.4-x86_64-minimal", GuestOs::RedHat),
            ("Fedora-Cloud-Base-41", GuestOs::Fedora),
            ("openSUSE-Leap-15.6", GuestOs::Suse),
            ("alpine-virt-3.23.0-x86_64", GuestOs::Alpine),
            ("archlinux-2026.01.01", GuestOs::Arch),
            ("FreeBSD-14.1-RELEASE", GuestOs::FreeBsd),
            ("openbsd76", GuestOs::OpenBsd),
            ("my-linux", GuestOs::Linux),
        ] {
            assert_eq!(GuestOs::of_image(name), Some(os), "{name}");
        }
        for name in ["", "backup", "disk-1"] {
            assert_eq!(GuestOs::of_image(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_short_is_told() {
        let windows = GuestOs::Windows11.profile();
        assert_eq!(windows.shortfalls(2, 4096, Some(64 << 30)), Vec::<String>::new());
        let told = windows.shortfalls(1, 2048, Some(20 << 30)).join(" ");
        for part in [
            "2 CPUs; this machine has 1",
            "4096 MiB of memory; this machine has 2048",
            "64 GiB; the largest here has 20",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(windows.shortfalls(2, 4096, None), Vec::<String>::new(), "it may boot without a disk");
        assert_eq!(GuestOs::Other.profile().shortfalls(1, 16, Some(1)), Vec::<String>::new());
    }
}
