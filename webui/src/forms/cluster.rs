//! The forms of the cluster: its settings, a token's time, leaving and joining.

use crate::fields::{Fields, Reading};
use hostd_types::command::ClusterCommand;
use hostd_types::{ClusterRecord, Problem};

/// The forms, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClusterForm {
    pub(crate) name: String,
    pub(crate) voters: String,
    /// The chosen processor; empty: what all hosts can run.
    pub(crate) cpu_model: String,
    /// Seconds a new join token is valid.
    pub(crate) valid_s: String,
    /// A join token of another cluster.
    pub(crate) token: String,
}

impl ClusterForm {
    /// What the page shows at first.
    pub(crate) fn of(cluster: Option<&ClusterRecord>) -> Self {
        Self {
            name: cluster.map(|c| c.spec.name.clone()).unwrap_or_default(),
            voters: cluster.map(|c| c.spec.voters.to_string()).unwrap_or_default(),
            cpu_model: cluster.and_then(|c| c.spec.cpu_model.clone()).unwrap_or_default(),
            valid_s: "3600".into(),
            token: String::new(),
        }
    }
    /// What was sent; what was not stays as the page has it.
    pub(crate) fn read(fields: &Fields, cluster: Option<&ClusterRecord>) -> Self {
        let now = Self::of(cluster);
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        Self {
            name: or("name", now.name),
            voters: or("voters", now.voters),
            cpu_model: or("model", now.cpu_model),
            valid_s: or("valid_s", now.valid_s),
            // A token copied from a narrow window may have line breaks in it.
            token: fields.text("token").split_whitespace().collect(),
        }
    }
    /// What is to change about `cluster`; only what differs.
    pub(crate) fn edit(&self, cluster: &ClusterRecord) -> Result<ClusterCommand, Problem> {
        let mut reading = Reading::default();
        let voters: u8 = reading.whole("/voters", &self.voters);
        let edit = ClusterCommand::Edit {
            name: (self.name != cluster.spec.name).then(|| self.name.clone()),
            voters: (voters != cluster.spec.voters).then_some(voters),
        };
        reading.done(edit)
    }
    /// The processor that was chosen.
    pub(crate) fn choose_cpu(&self) -> ClusterCommand {
        ClusterCommand::ChooseCpu { model: Some(self.cpu_model.clone()).filter(|model| !model.is_empty()) }
    }
    /// Seconds the new token is valid.
    pub(crate) fn valid(&self) -> Result<u32, Problem> {
        let mut reading = Reading::default();
        let seconds = reading.whole("/valid_s", &self.valid_s);
        reading.done(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::cluster;

    #[test]
    fn only_what_differs_is_sent_and_a_token_loses_its_line_breaks() {
        let record = cluster::record("rack");
        let same = ClusterForm::of(Some(&record));
        assert_eq!(same.edit(&record), Ok(ClusterCommand::Edit { name: None, voters: None }));
        let fields =
            Fields::new(vec![("voters".into(), "3".into()), ("token".into(), " qxj1_ab\r\ncd \n".into())]);
        let form = ClusterForm::read(&fields, Some(&record));
        assert_eq!((form.name.as_str(), form.token.as_str()), ("rack", "qxj1_abcd"));
        assert_eq!(form.edit(&record), Ok(ClusterCommand::Edit { name: None, voters: Some(3) }));
        assert_eq!(form.choose_cpu(), ClusterCommand::ChooseCpu { model: None });
        let chosen =
            ClusterForm::read(&Fields::new(vec![("model".into(), "Westmere".into())]), Some(&record));
        assert_eq!(chosen.choose_cpu(), ClusterCommand::ChooseCpu { model: Some("Westmere".into()) });
        let bad = ClusterForm { voters: "many".into(), valid_s: "".into(), ..form };
        assert!(bad.edit(&record).expect_err("no number").at("/voters").is_some());
        assert!(bad.valid().expect_err("no number").at("/valid_s").is_some());
    }
}
