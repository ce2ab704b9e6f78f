//! The part of a machine's forms that is about its TPM, watchdog, ports, screen and share of the processors.

use super::memory::MemoryForm;
use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Options of a machine's hardware, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionsForm {
    /// `on` or `off`.
    pub(crate) tpm: String,
    pub(crate) shares: String,
    pub(crate) limit: String,
    pub(crate) reservation: String,
    pub(crate) serial_ports: String,
    /// Names, one a line.
    pub(crate) channels: String,
    /// `on` or `off`.
    pub(crate) rng: String,
    pub(crate) rng_rate: String,
    /// [`WatchdogAction::as_str`]; `off` for no watchdog.
    pub(crate) watchdog: String,
    pub(crate) watchdog_model: String,
    pub(crate) video: String,
    pub(crate) video_memory: String,
    pub(crate) screens: String,
    pub(crate) on_crash: String,
    pub(crate) memory: MemoryForm,
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl OptionsForm {
    /// Filled from what is there.
    pub(crate) fn of(options: &VmOptions) -> Self {
        let share = &options.cpu_share;
        Self {
            tpm: switch(options.tpm).into(),
            shares: text(share.shares),
            limit: text(share.limit_percent),
            reservation: text(share.reservation_percent),
            serial_ports: options.serial_ports.to_string(),
            channels: options.channels.join("\n"),
            rng: switch(!options.rng.off).into(),
            rng_rate: text(options.rng.bytes_per_second),
            watchdog: options.watchdog.map_or("off", |dog| dog.action.as_str()).into(),
            watchdog_model: options.watchdog.map(|dog| dog.model).unwrap_or_default().as_str().into(),
            video: options.video.model.as_str().into(),
            video_memory: text(options.video.memory_mib),
            screens: text(options.video.heads),
            on_crash: options.on_crash.as_str().into(),
            memory: MemoryForm::of(options.memory),
        }
    }
    /// What was sent; what was not stays as `now`.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        Self {
            tpm: or("tpm", now.tpm),
            shares: or("cpu_shares", now.shares),
            limit: or("cpu_limit", now.limit),
            reservation: or("cpu_reservation", now.reservation),
            serial_ports: or("serial_ports", now.serial_ports),
            channels: or("channels", now.channels),
            rng: or("rng", now.rng),
            rng_rate: or("rng_rate", now.rng_rate),
            watchdog: or("watchdog", now.watchdog),
            watchdog_model: or("watchdog_model", now.watchdog_model),
            video: or("video", now.video),
            video_memory: or("video_memory", now.video_memory),
            screens: or("screens", now.screens),
            on_crash: or("on_crash", now.on_crash),
            memory: MemoryForm::read(fields, now.memory),
        }
    }
    /// What it means.
    pub(crate) fn options(&self, reading: &mut Reading) -> VmOptions {
        let mut number = |field: &str, text: &str| -> Option<u32> {
            (!text.is_empty()).then(|| reading.whole(&format!("/options/{field}"), text))
        };
        let cpu_share = CpuShare {
            shares: number("cpu_share/shares", &self.shares),
            limit_percent: number("cpu_share/limit_percent", &self.limit),
            reservation_percent: number("cpu_share/reservation_percent", &self.reservation),
        };
        let serial_ports = number("serial_ports", &self.serial_ports).unwrap_or_default();
        let rng = RngDevice {
            off: self.rng == "off",
            bytes_per_second: number("rng/bytes_per_second", &self.rng_rate),
        };
        let (memory_mib, heads) =
            (number("video/memory_mib", &self.video_memory), number("video/heads", &self.screens));
        let model = chosen(reading, "video/model", VideoModel::named(&self.video));
        let watchdog = (self.watchdog != "off").then(|| WatchdogDevice {
            model: chosen(reading, "watchdog/model", WatchdogModel::named(&self.watchdog_model)),
            action: chosen(reading, "watchdog/action", WatchdogAction::named(&self.watchdog)),
        });
        VmOptions {
            tpm: self.tpm == "on",
            cpu_share,
            serial_ports,
            channels: self
                .channels
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .map(String::from)
                .collect(),
            rng,
            watchdog,
            video: VideoDevice { model, memory_mib, heads },
            on_crash: chosen(reading, "on_crash", OnCrash::named(&self.on_crash)),
            memory: self.memory.backing(reading),
        }
    }
    /// Something of it is not the default.
    pub(crate) fn is_used(&self) -> bool {
        *self != Self::default()
    }
}

impl Default for OptionsForm {
    fn default() -> Self {
        Self::of(&VmOptions::default())
    }
}

/// A choice of a list.
fn chosen<T: Default>(reading: &mut Reading, field: &str, choice: Option<T>) -> T {
    choice.unwrap_or_else(|| {
        reading.wrong(format!("/options/{field}"), "Choose one of the list.");
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> OptionsForm {
        let fields = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        OptionsForm::read(&Fields::new(fields), OptionsForm::default())
    }

    #[test]
    fn the_form_shows_what_is_there_and_means_the_same() {
        let all = VmOptions {
            tpm: true,
            cpu_share: CpuShare {
                shares: Some(200),
                limit_percent: Some(150),
                reservation_percent: Some(50),
            },
            serial_ports: 2,
            channels: vec!["com.example.0".into(), "b".into()],
            rng: RngDevice { off: false, bytes_per_second: Some(1024) },
            watchdog: Some(WatchdogDevice { model: WatchdogModel::I6300esb, action: WatchdogAction::Pause }),
            video: VideoDevice { model: VideoModel::Qxl, memory_mib: Some(64), heads: Some(2) },
            on_crash: OnCrash::Restart,
            memory: MemoryBacking { huge_pages: Some(HugePageSize::OneGib), numa_nodes: Some(2) },
        };
        for options in [VmOptions::default(), all] {
            let mut reading = Reading::default();
            let form = OptionsForm::of(&options);
            assert_eq!(form.options(&mut reading), options);
            assert_eq!(form.is_used(), options != VmOptions::default());
            reading.done(()).expect("no mistakes");
        }
    }

    #[test]
    fn wrong_fields_are_told_where_they_are() {
        let form = read(&[
            ("cpu_shares", "many"),
            ("serial_ports", "-1"),
            ("rng_rate", "x"),
            ("video", "cga"),
            ("watchdog", "bark"),
            ("on_crash", ""),
            ("huge_pages", "4mib"),
            ("numa_nodes", "two"),
        ]);
        let mut reading = Reading::default();
        form.options(&mut reading);
        let problem = reading.done(()).expect_err("mistakes");
        for field in [
            "cpu_share/shares",
            "serial_ports",
            "rng/bytes_per_second",
            "video/model",
            "watchdog/action",
            "on_crash",
            "memory/huge_pages",
            "memory/numa_nodes",
        ] {
            assert!(problem.at(&format!("/options/{field}")).is_some(), "{field}");
        }
    }
}
