//! Rules for hosts.

use super::Fields;
use hostd_types::Problem;
use hostd_types::name::check_hostname;

/// May a host have this name?
pub(super) fn rename(name: &str) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    wrong.check("/name", check_hostname(name));
    wrong.done()
}
