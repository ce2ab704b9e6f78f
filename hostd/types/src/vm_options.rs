//! What a machine can be given beyond disks and cards: a TPM, a watchdog, ports, its screen, its share of the processors.

use crate::vm_memory::MemoryBacking;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most serial ports beside the first one: a PC has places for four.
pub const SERIAL_PORTS_MAX: u32 = 3;
/// Most channels beside the guest agent's.
pub const CHANNELS_MAX: usize = 8;
/// The channel that every machine has.
pub const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

/// The options of a machine's hardware; the default is what a machine gets that asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct VmOptions {
    /// It has a TPM 2.0 of its own, whose state stays with the machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tpm: bool,
    /// Its share of the host's processors.
    #[serde(skip_serializing_if = "is_default")]
    pub cpu_share: CpuShare,
    /// Serial ports beside the first one.
    #[serde(skip_serializing_if = "is_default")]
    pub serial_ports: u32,
    /// Names of virtio-serial channels beside the guest agent's; each is a socket on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Its source of random numbers.
    #[serde(skip_serializing_if = "is_default")]
    pub rng: RngDevice,
    /// The device that notices when the guest hangs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<WatchdogDevice>,
    /// Its graphics card.
    #[serde(skip_serializing_if = "is_default")]
    pub video: VideoDevice,
    /// What happens when the guest's kernel panics.
    #[serde(skip_serializing_if = "is_default")]
    pub on_crash: OnCrash,
    /// What its memory is made of.
    #[serde(skip_serializing_if = "is_default")]
    pub memory: MemoryBacking,
}

/// A machine's share of its host's processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CpuShare {
    /// Its weight while processors are short, 1 to 10000; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u32>,
    /// Most processor time it gets, percent of one CPU thread of the host; no limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_percent: Option<u32>,
    /// Processor time set aside for it, percent of one CPU thread of the host: together machines can't reserve more than
    /// their host has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_percent: Option<u32>,
}

/// A source of random numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RngDevice {
    /// It has none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// Most bytes a second that it gives; no limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u32>,
}

/// A device that the guest must tell again and again that it is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchdogDevice {
    /// The device.
    #[serde(default)]
    pub model: WatchdogModel,
    /// What happens when the guest does not.
    #[serde(default)]
    pub action: WatchdogAction,
}

/// Which watchdog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogModel {
    /// Intel 6300ESB, which most guests have a driver for.
    #[default]
    I6300esb,
    /// The one in the mainboard's chips (Intel TCO).
    Itco,
}

/// What a watchdog does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogAction {
    /// Press the reset button.
    #[default]
    Reset,
    /// Pull the plug.
    Poweroff,
    /// Freeze it, to be looked at.
    Pause,
    /// Write its memory to a file of the host, then let it go on.
    Dump,
    /// Only tell.
    None,
}

/// A graphics card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct VideoDevice {
    /// Which.
    pub model: VideoModel,
    /// Its memory, MiB; 16 when absent. Of vga and qxl alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// Screens; 1 when absent. More than one of virtio and qxl alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<u32>,
}

/// Which graphics card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VideoModel {
    /// The standard VGA, which everything knows.
    #[default]
    Vga,
    /// virtio-gpu: larger pictures, needs a driver in the guest.
    Virtio,
    /// QXL, for guests that have its driver.
    Qxl,
    /// None: the serial port alone.
    None,
}

/// What happens when the guest's kernel panics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCrash {
    /// It is off, as crashed.
    #[default]
    Off,
    /// It starts again.
    Restart,
    /// It stays frozen as it is, to be looked at.
    Keep,
    /// Its memory is written to a file of the host, then it is off.
    Dump,
}

/// Words of the API for a choice; the same in forms and on the command line.
macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        impl $name {
            /// Every choice, in the order in which they are offered.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
            /// By its word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }
        }
    )+};
}
pub(crate) use words;

words! {
    WatchdogModel { I6300esb = "i6300esb", Itco = "itco" }
    WatchdogAction { Reset = "reset", Poweroff = "poweroff", Pause = "pause", Dump = "dump", None = "none" }
    VideoModel { Vga = "vga", Virtio = "virtio", Qxl = "qxl", None = "none" }
    OnCrash { Off = "off", Restart = "restart", Keep = "keep", Dump = "dump" }
}

/// It is the default, which is left out of rows.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_wire() {
        fn same<T: Serialize + Copy>(all: &[T], word: impl Fn(T) -> &'static str) {
            for choice in all {
                assert_eq!(serde_json::to_value(choice).unwrap(), word(*choice));
            }
        }
        same(WatchdogModel::ALL, WatchdogModel::as_str);
        same(WatchdogAction::ALL, WatchdogAction::as_str);
        same(VideoModel::ALL, VideoModel::as_str);
        same(OnCrash::ALL, OnCrash::as_str);
        assert_eq!(serde_json::to_value(VmOptions::default()).unwrap(), serde_json::json!({}));
    }
}
