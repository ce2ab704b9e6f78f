//! One disk of the form of a new machine.

use super::choice::bus;
use super::tuning::DiskOptionsForm;
use crate::fields::{Fields, Reading};
use hostd_types::{DiskFormat, NewDisk};

/// The fields of one disk, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskForm {
    /// `blank`, `image` or `volume`.
    pub(crate) from: String,
    /// Size of an empty disk.
    pub(crate) size: String,
    /// Its unit.
    pub(crate) unit: String,
    /// `qcow2` or `raw`.
    pub(crate) format: String,
    /// `virtio`, `sata`, `scsi` or `nvme`.
    pub(crate) bus: String,
    /// The image it is layered over.
    pub(crate) image: String,
    /// Size over an image, GiB; empty for the image's own.
    pub(crate) grow: String,
    /// The volume that is there already.
    pub(crate) volume: String,
    pub(crate) options: DiskOptionsForm,
}

impl Default for DiskForm {
    fn default() -> Self {
        Self {
            from: "blank".into(),
            size: "20".into(),
            unit: "gib".into(),
            format: "qcow2".into(),
            bus: "virtio".into(),
            image: String::new(),
            grow: String::new(),
            volume: String::new(),
            options: DiskOptionsForm::default(),
        }
    }
}

impl DiskForm {
    /// The fields of disk `index`.
    pub(crate) fn read(fields: &Fields, index: usize) -> Self {
        let text = |name: &str| fields.text(&format!("disk{index}_{name}"));
        Self {
            from: text("from"),
            size: text("size"),
            unit: text("unit"),
            format: text("format"),
            bus: text("bus"),
            image: text("image"),
            grow: text("grow"),
            volume: text("volume"),
            options: DiskOptionsForm::read(fields, &format!("disk{index}"), DiskOptionsForm::default()),
        }
    }
    /// The disk asked for; errors are noted in `reading` under `place`.
    pub(crate) fn disk(&self, reading: &mut Reading, place: &str) -> Option<NewDisk> {
        let at = |field: &str| format!("{place}/{field}");
        let bus = bus(reading, &at("bus"), &self.bus);
        let options = self.options.options(reading, place);
        match self.from.as_str() {
            "image" => {
                let image = reading.chosen(&at("image"), &self.image, "an image")?;
                let grow =
                    (!self.grow.is_empty()).then(|| reading.bytes(&at("size_bytes"), &self.grow, "gib"));
                Some(NewDisk::Image { image, size_bytes: grow, bus, options })
            }
            "volume" => {
                let volume = reading.chosen(&at("volume"), &self.volume, "a volume")?;
                Some(NewDisk::Volume { volume, bus, options })
            }
            "blank" => {
                let size_bytes = reading.bytes(&at("size_bytes"), &self.size, &self.unit);
                let format = if self.format == "raw" { DiskFormat::Raw } else { DiskFormat::Qcow2 };
                Some(NewDisk::Blank { size_bytes, format, bus, options })
            }
            _ => {
                reading.wrong(at("from"), "Choose where the disk comes from.");
                None
            }
        }
    }
}
