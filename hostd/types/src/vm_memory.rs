//! What a machine's memory is made of: huge pages of its host, and the NUMA nodes that the guest sees.

use crate::vm_options::words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most NUMA nodes of a guest.
pub const NUMA_NODES_MAX: u32 = 16;

/// How a machine's memory is made; the default is ordinary memory in one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct MemoryBacking {
    /// It is made of huge pages of this size, which the host must have set aside. All of it is taken at the start, so that it
    /// neither grows nor shrinks while the machine runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<HugePageSize>,
    /// NUMA nodes that the guest sees, 2 to 16; CPUs and memory are divided evenly among them. One when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_nodes: Option<u32>,
}

/// Size of a huge page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum HugePageSize {
    /// 2 MiB.
    #[serde(rename = "2mib")]
    TwoMib,
    /// 1 GiB.
    #[serde(rename = "1gib")]
    OneGib,
}

words! {
    HugePageSize { TwoMib = "2mib", OneGib = "1gib" }
}

impl HugePageSize {
    /// The size, MiB.
    pub const fn mib(self) -> u64 {
        match self {
            HugePageSize::TwoMib => 2,
            HugePageSize::OneGib => 1024,
        }
    }
    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            HugePageSize::TwoMib => "2 MiB",
            HugePageSize::OneGib => "1 GiB",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_wire() {
        for size in HugePageSize::ALL {
            assert_eq!(serde_json::to_value(size).unwrap(), size.as_str());
        }
        let all = MemoryBacking { huge_pages: Some(HugePageSize::OneGib), numa_nodes: Some(2) };
        assert_eq!(
            serde_json::to_value(all).unwrap(),
            serde_json::json!({"huge_pages": "1gib", "numa_nodes": 2})
        );
    }
}
