//! Values behind any number of references: templates hand over whatever their loops and matches bind.

use hostd_core::NoticeLevel;
use hostd_types::*;

/// A `T`, or references to one.
pub(crate) trait Deep<T: ?Sized> {
    /// The value itself.
    fn deep(&self) -> &T;
}

macro_rules! deep {
    ($($t:ty),+ $(,)?) => {$(
        impl Deep<$t> for $t { fn deep(&self) -> &$t { self } }
        impl Deep<$t> for &$t { fn deep(&self) -> &$t { self } }
        impl Deep<$t> for &&$t { fn deep(&self) -> &$t { self } }
        impl Deep<$t> for &&&$t { fn deep(&self) -> &$t { self } }
    )+};
}

deep!(
    u64,
    f64,
    bool,
    Timestamp,
    Task,
    Subject,
    VmState,
    Phase,
    EventResult,
    NoticeLevel,
    (&'static str, &'static str)
);
