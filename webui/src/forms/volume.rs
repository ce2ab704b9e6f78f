//! The form of a new volume.

use crate::fields::{Fields, Reading};
use hostd_types::{CreateVolume, DiskFormat, Problem};

/// The form, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeForm {
    /// The host whose disk holds it; empty: the one asked.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) size: String,
    pub(crate) unit: String,
    pub(crate) format: String,
}

impl Default for VolumeForm {
    fn default() -> Self {
        Self {
            host: String::new(),
            name: String::new(),
            size: "20".into(),
            unit: "gib".into(),
            format: "qcow2".into(),
        }
    }
}

impl VolumeForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self {
            host: fields.text("host"),
            name: fields.text("name"),
            size: fields.text("size"),
            unit: fields.text("unit"),
            format: fields.text("format"),
        }
    }
    /// The volume asked for.
    pub(crate) fn volume(&self) -> Result<CreateVolume, Problem> {
        let mut reading = Reading::default();
        let size_bytes = reading.bytes("/size_bytes", &self.size, &self.unit);
        let format = if self.format == "raw" { DiskFormat::Raw } else { DiskFormat::Qcow2 };
        reading.done(CreateVolume { name: self.name.clone(), size_bytes, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_unit_make_bytes() {
        let form = VolumeForm {
            name: "data".into(),
            size: "2".into(),
            unit: "tib".into(),
            format: "raw".into(),
            ..VolumeForm::default()
        };
        let volume = form.volume().expect("a good form");
        assert_eq!((volume.size_bytes, volume.format), (2 << 40, DiskFormat::Raw));
        let bad = VolumeForm { size: "big".into(), ..form };
        assert!(bad.volume().expect_err("no number").at("/size_bytes").is_some());
    }
}
