//! How resources lie in tables: the columns to find and order them by, and their parts as JSON. Both `apply`, which
//! writes rows, and `store`, which reads them, use these descriptions.

use crate::error::StateError;
use hostd_types::*;
use rusqlite::types::Value;

/// A column a list can be ordered by.
pub(crate) struct Sort {
    /// Name in the request.
    pub(crate) wire: &'static str,
    /// Column of the table.
    pub(crate) column: &'static str,
    /// It holds integers, not text.
    pub(crate) integer: bool,
}

/// An orderable text column.
pub(crate) const fn text(wire: &'static str, column: &'static str) -> Sort {
    Sort { wire, column, integer: false }
}

/// An orderable integer column.
pub(crate) const fn integer(wire: &'static str, column: &'static str) -> Sort {
    Sort { wire, column, integer: true }
}

/// A resource `{id, meta, spec, status}` with a table of its own.
pub(crate) trait Resource: Sized + Send {
    /// The table.
    const TABLE: &'static str;
    /// What it is, in the API and in events.
    const KIND: Kind;
    /// What it is called in sentences.
    const NOUN: &'static str;
    /// Columns beside id, name, created, meta, spec and status.
    const EXTRA: &'static [&'static str];
    /// Orders of its list.
    const SORT: &'static [Sort];

    /// Values of [`Resource::EXTRA`].
    fn extra(&self) -> Vec<Value>;
    /// Id as text.
    fn id_text(&self) -> String;
    /// Bookkeeping.
    fn meta(&self) -> &Meta;
    /// Bookkeeping, to change.
    fn meta_mut(&mut self) -> &mut Meta;
    /// This resource named.
    fn named(&self) -> Subject;
    /// Bookkeeping, spec and status as JSON.
    fn parts(&self) -> Result<[String; 3], StateError>;
    /// Back from the columns.
    fn from_columns(id: &str, meta: &str, spec: &str, status: &str) -> Result<Self, StateError>;
}

macro_rules! columns {
    () => {
        fn id_text(&self) -> String {
            self.id.to_string()
        }
        fn meta(&self) -> &Meta {
            &self.meta
        }
        fn meta_mut(&mut self) -> &mut Meta {
            &mut self.meta
        }
        fn named(&self) -> Subject {
            self.subject()
        }
        fn parts(&self) -> Result<[String; 3], StateError> {
            let (spec, status) = (serde_json::to_string(&self.spec)?, serde_json::to_string(&self.status)?);
            Ok([serde_json::to_string(&self.meta)?, spec, status])
        }
        fn from_columns(id: &str, meta: &str, spec: &str, status: &str) -> Result<Self, StateError> {
            Ok(Self {
                id: id.parse()?,
                meta: serde_json::from_str(meta)?,
                spec: serde_json::from_str(spec)?,
                status: serde_json::from_str(status)?,
            })
        }
    };
}

impl Resource for Host {
    const TABLE: &'static str = "host";
    const KIND: Kind = Kind::Host;
    const NOUN: &'static str = "host";
    const EXTRA: &'static [&'static str] = &[];
    const SORT: &'static [Sort] = &[text("name", "name"), integer("created", "created")];
    fn extra(&self) -> Vec<Value> {
        Vec::new()
    }
    columns!();
}

impl Resource for ClusterRecord {
    const TABLE: &'static str = "cluster";
    const KIND: Kind = Kind::Cluster;
    const NOUN: &'static str = "cluster";
    const EXTRA: &'static [&'static str] = &[];
    const SORT: &'static [Sort] = &[text("name", "name")];
    fn extra(&self) -> Vec<Value> {
        Vec::new()
    }
    columns!();
}

impl Resource for Vm {
    const TABLE: &'static str = "vm";
    const KIND: Kind = Kind::Vm;
    const NOUN: &'static str = "virtual machine";
    const EXTRA: &'static [&'static str] = &["host", "state", "cpus", "memory", "cdrom"];
    const SORT: &'static [Sort] = &[
        text("name", "name"),
        text("state", "state"),
        integer("cpus", "cpus"),
        integer("memory", "memory"),
        integer("created", "created"),
    ];
    fn extra(&self) -> Vec<Value> {
        vec![
            self.spec.host.to_string().into(),
            self.status.state.as_str().to_owned().into(),
            i64::from(self.spec.cpus).into(),
            whole(self.spec.memory_mib),
            self.spec.cdrom.map(|id| id.to_string()).into(),
        ]
    }
    columns!();
}

impl Resource for Volume {
    const TABLE: &'static str = "volume";
    const KIND: Kind = Kind::Volume;
    const NOUN: &'static str = "volume";
    const EXTRA: &'static [&'static str] = &["host", "state", "size", "vm", "image"];
    const SORT: &'static [Sort] =
        &[text("name", "name"), integer("size", "size"), integer("created", "created")];
    fn extra(&self) -> Vec<Value> {
        vec![
            self.spec.host.to_string().into(),
            phase_name(self.status.phase).to_owned().into(),
            whole(self.spec.size_bytes),
            self.spec.vm.map(|id| id.to_string()).into(),
            self.spec.image.map(|id| id.to_string()).into(),
        ]
    }
    columns!();
}

impl Resource for Snapshot {
    const TABLE: &'static str = "snapshot";
    const KIND: Kind = Kind::Snapshot;
    const NOUN: &'static str = "snapshot";
    const EXTRA: &'static [&'static str] = &["vm", "host", "state"];
    const SORT: &'static [Sort] = &[text("name", "name"), integer("created", "created")];
    fn extra(&self) -> Vec<Value> {
        vec![
            self.spec.vm.to_string().into(),
            self.spec.host.to_string().into(),
            phase_name(self.status.phase).to_owned().into(),
        ]
    }
    columns!();
}

impl Resource for Image {
    const TABLE: &'static str = "image";
    const KIND: Kind = Kind::Image;
    const NOUN: &'static str = "image";
    const EXTRA: &'static [&'static str] = &["host", "state", "size"];
    const SORT: &'static [Sort] =
        &[text("name", "name"), integer("size", "size"), integer("created", "created")];
    fn extra(&self) -> Vec<Value> {
        let size = self.status.content.as_ref().map(|c| c.file_bytes).or(self.spec.announced_bytes);
        vec![
            self.spec.host.to_string().into(),
            phase_name(self.status.phase).to_owned().into(),
            whole(size.unwrap_or(0)),
        ]
    }
    columns!();
}

impl Resource for Network {
    const TABLE: &'static str = "network";
    const KIND: Kind = Kind::Network;
    const NOUN: &'static str = "network";
    const EXTRA: &'static [&'static str] = &["host", "state", "bridge"];
    const SORT: &'static [Sort] = &[text("name", "name"), integer("created", "created")];
    fn extra(&self) -> Vec<Value> {
        vec![
            self.spec.host.to_string().into(),
            phase_name(self.status.phase).to_owned().into(),
            self.spec.bridge.clone().into(),
        ]
    }
    columns!();
}

impl Resource for Specification {
    const TABLE: &'static str = "specification";
    const KIND: Kind = Kind::Specification;
    const NOUN: &'static str = "customization specification";
    const EXTRA: &'static [&'static str] = &[];
    const SORT: &'static [Sort] = &[text("name", "name")];
    fn extra(&self) -> Vec<Value> {
        Vec::new()
    }
    columns!();
}

impl Resource for Folder {
    const TABLE: &'static str = "folder";
    const KIND: Kind = Kind::Folder;
    const NOUN: &'static str = "folder";
    const EXTRA: &'static [&'static str] = &["parent", "project"];
    const SORT: &'static [Sort] = &[text("name", "name")];
    fn extra(&self) -> Vec<Value> {
        let parent = self.spec.parent.map_or_else(String::new, |id| id.to_string());
        vec![parent.into(), self.meta.project.clone().into()]
    }
    columns!();
}

/// Name of a phase in the column that lists filter by.
pub(crate) const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Creating => "creating",
        Phase::Ready => "ready",
        Phase::Deleting => "deleting",
    }
}

/// Name of an event's result in the column that lists filter by.
pub(crate) const fn result_name(result: EventResult) -> &'static str {
    match result {
        EventResult::Ok => "ok",
        EventResult::Refused => "refused",
        EventResult::Failed => "failed",
        EventResult::Observed => "observed",
    }
}

/// A count as SQLite's integer, the largest one for what does not fit.
fn whole(n: u64) -> Value {
    i64::try_from(n).unwrap_or(i64::MAX).into()
}

/// Milliseconds since the Unix epoch, the form of times in columns.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.date_time().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
