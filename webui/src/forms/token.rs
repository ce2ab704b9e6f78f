//! The form of a new API token.

use crate::fields::{Fields, Reading};
use hostd_types::{CreateToken, Problem};

/// The form, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenForm {
    pub(crate) name: String,
    pub(crate) days: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self { name: String::new(), days: "90".into() }
    }
}

impl TokenForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self { name: fields.text("name"), days: fields.text("days") }
    }
    /// The token asked for.
    pub(crate) fn token(&self) -> Result<CreateToken, Problem> {
        let mut reading = Reading::default();
        let days = reading.whole("/days", &self.days);
        reading.done(CreateToken { name: self.name.clone(), days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_a_whole_number() {
        let form = TokenForm { name: "ci".into(), days: "30".into() };
        assert_eq!(form.token().expect("a good form").days, 30);
        assert!(
            TokenForm { days: "1.5".into(), ..form }.token().expect_err("a fraction").at("/days").is_some()
        );
    }
}
