//! The form of a link to a machine's consoles.

use crate::fields::{Fields, Reading};
use hostd_types::{Problem, ShareConsole};

/// The form, as chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkForm {
    pub(crate) control: String,
    pub(crate) valid_s: String,
}

impl Default for LinkForm {
    fn default() -> Self {
        Self { control: "no".into(), valid_s: "3600".into() }
    }
}

impl LinkForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self { control: fields.text("control"), valid_s: fields.text("valid_s") }
    }
    /// The link asked for.
    pub(crate) fn link(&self) -> Result<ShareConsole, Problem> {
        let mut reading = Reading::default();
        let valid_s = reading.whole("/valid_s", &self.valid_s);
        reading.done(ShareConsole { control: self.control == "yes", valid_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_read() {
        let form = LinkForm { control: "yes".into(), valid_s: "900".into() };
        assert_eq!(form.link().expect("a good form"), ShareConsole { control: true, valid_s: 900 });
        assert!(!LinkForm::default().link().expect("the default").control);
        let wrong = LinkForm { valid_s: "soon".into(), ..form };
        assert!(wrong.link().expect_err("no number").at("/valid_s").is_some());
    }
}
