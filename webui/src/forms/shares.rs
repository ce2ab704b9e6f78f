//! The folders that a machine shares with its host.

use crate::fields::Fields;
use hostd_types::{SHARES_MAX, VmShare};

/// The pool they are in: hosts have one.
const POOL: &str = "local";
/// Empty rows that the form offers beside what is there.
const ROOM: usize = 2;

/// One of them, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShareRow {
    pub(crate) tag: String,
    pub(crate) folder: String,
}

impl ShareRow {
    fn is_empty(&self) -> bool {
        self.tag.is_empty() && self.folder.is_empty()
    }
}

/// The shared folders as typed; rows that were left empty are no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SharesForm {
    rows: Vec<ShareRow>,
}

impl SharesForm {
    /// Those of a machine.
    pub(crate) fn of(shares: &[VmShare]) -> Self {
        let row = |share: &VmShare| ShareRow { tag: share.tag.clone(), folder: share.folder.clone() };
        Self { rows: shares.iter().map(row).collect() }
    }
    /// What was sent; `now` when nothing was.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        if !fields.ticked("share0_tag") {
            return now;
        }
        let row = |n: usize| ShareRow {
            tag: fields.text(&format!("share{n}_tag")),
            folder: fields.text(&format!("share{n}_folder")),
        };
        Self { rows: (0..SHARES_MAX).map(row).filter(|row| !row.is_empty()).collect() }
    }
    /// What the form shows: they, and room for more.
    pub(crate) fn shown(&self) -> Vec<ShareRow> {
        let mut rows = self.rows.clone();
        rows.resize_with((rows.len() + ROOM).min(SHARES_MAX).max(rows.len()), ShareRow::default);
        rows
    }
    /// There is one.
    pub(crate) fn any(&self) -> bool {
        !self.rows.is_empty()
    }
    /// The shared folders asked for. What is wrong with them the rules say, in the order of the rows.
    pub(crate) fn shares(&self) -> Vec<VmShare> {
        let share =
            |row: &ShareRow| VmShare { tag: row.tag.clone(), pool: POOL.into(), folder: row.folder.clone() };
        self.rows.iter().map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_content_are_none_and_there_is_room_for_more() {
        let pairs =
            [("share0_tag", ""), ("share0_folder", " "), ("share1_tag", "docs"), ("share1_folder", "team")];
        let fields = Fields::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let form = SharesForm::read(&fields, SharesForm::default());
        let shares = form.shares();
        assert_eq!(shares, [VmShare { tag: "docs".into(), pool: "local".into(), folder: "team".into() }]);
        assert_eq!(SharesForm::of(&shares), form);
        assert_eq!((form.shown().len(), SharesForm::default().shown().len()), (1 + ROOM, ROOM));
        let most = SharesForm::of(&vec![shares[0].clone(); SHARES_MAX]);
        assert_eq!(most.shown().len(), SHARES_MAX);
        assert_eq!(SharesForm::read(&Fields::default(), form.clone()), form, "what was not sent stays");
    }
}
