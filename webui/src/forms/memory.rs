//! The part of a machine's forms that is about what its memory is made of.

use crate::fields::{Fields, Reading};
use hostd_types::{HugePageSize, MemoryBacking};

/// As typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryForm {
    /// [`HugePageSize::as_str`]; `off` for ordinary memory.
    pub(crate) huge_pages: String,
    pub(crate) numa_nodes: String,
}

impl MemoryForm {
    /// Filled from what is there.
    pub(crate) fn of(backing: MemoryBacking) -> Self {
        Self {
            huge_pages: backing.huge_pages.map_or("off", HugePageSize::as_str).into(),
            numa_nodes: backing.numa_nodes.map(|nodes| nodes.to_string()).unwrap_or_default(),
        }
    }
    /// What was sent; what was not stays as `now`.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        Self { huge_pages: or("huge_pages", now.huge_pages), numa_nodes: or("numa_nodes", now.numa_nodes) }
    }
    /// What it means.
    pub(crate) fn backing(&self, reading: &mut Reading) -> MemoryBacking {
        let huge_pages = HugePageSize::named(&self.huge_pages);
        if huge_pages.is_none() && self.huge_pages != "off" {
            reading.wrong("/options/memory/huge_pages".to_owned(), "Choose one of the list.");
        }
        let nodes = &self.numa_nodes;
        let numa_nodes = (!nodes.is_empty()).then(|| reading.whole("/options/memory/numa_nodes", nodes));
        MemoryBacking { huge_pages, numa_nodes }
    }
}
