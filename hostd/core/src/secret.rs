//! Secrets on their way to the user.

use std::fmt;

/// A secret that is shown once and never logged: its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(pub(crate) String);

impl Secret {
    /// The secret itself, to be shown or set as a cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
