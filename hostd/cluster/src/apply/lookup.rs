//! Questions that several commands ask of the rows, and the refusals that follow.

use super::scope::Scope;
use super::{Rejection, Step};
use crate::clash::suffixed;
use crate::rows::Resource;
use hostd_types::*;

/// A refusal of kind `kind` that points at a field of the request.
pub(crate) fn refuse(kind: ProblemKind, pointer: &str, detail: String) -> Rejection {
    let error = FieldError { pointer: pointer.into(), detail: detail.clone() };
    Rejection::Refused(Problem { kind, detail, errors: vec![error], retry_after: None })
}

impl Scope<'_> {
    /// Refuses an id that has a row already.
    pub(crate) fn fresh<T: Resource>(&self, id: impl ToString) -> Step {
        match self.find::<T>(id)? {
            None => Ok(()),
            Some(_) => {
                let detail = format!("A {} with this id is there already.", T::NOUN);
                Err(Problem::new(ProblemKind::Conflict, detail).into())
            }
        }
    }

    /// A name is in use, letter case ignored.
    pub(crate) fn name_taken<T: Resource>(&self, name: &str) -> Step<bool> {
        let sql = format!("SELECT count(*) FROM {} WHERE name = ?1", T::TABLE);
        Ok(self.db.prepare_cached(&sql)?.query_row([name], |r| r.get::<_, i64>(0))? > 0)
    }

    /// `stem` with `suffix` behind it, and a number behind that when it is taken; a long stem is shortened to fit.
    pub(crate) fn numbered<T: Resource>(&self, stem: &str, suffix: &str) -> Step<String> {
        let mut name = suffixed(stem, suffix);
        let mut next = 2_u64;
        while self.name_taken::<T>(&name)? {
            name = suffixed(stem, &format!("{suffix}-{next}"));
            next += 1;
        }
        Ok(name)
    }

    /// Refuses a name in use.
    pub(crate) fn free_name<T: Resource>(&self, name: &str) -> Step {
        if self.name_taken::<T>(name)? {
            let article = if T::NOUN.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
            let detail = format!("{article} {} named {name} is there already; choose another name.", T::NOUN);
            return Err(refuse(ProblemKind::Exists, "/name", detail));
        }
        Ok(())
    }

    /// Refuses a host nobody has heard of, and one that holds nothing.
    pub(crate) fn known_host(&self, host: HostId) -> Step {
        let host = self.get::<Host>(host)?;
        match host.spec.role {
            HostRole::Host => Ok(()),
            HostRole::Witness => {
                let detail = format!(
                    "{} is a witness: it votes, and holds no machines. Choose another host.",
                    host.spec.name
                );
                Err(refuse(ProblemKind::Invalid, "/host", detail))
            }
        }
    }

    /// An image that can be used on `host` as `kind`.
    pub(crate) fn usable_image(
        &self,
        id: ImageId,
        kind: ImageKind,
        host: HostId,
        pointer: &str,
    ) -> Step<ImageContent> {
        let Some(image) = self.find::<Image>(id)? else {
            return Err(refuse(ProblemKind::Invalid, pointer, format!("There is no image {id}.")));
        };
        let name = &image.spec.name;
        let content = match (image.status.phase, image.status.content) {
            (Phase::Ready, Some(content)) => content,
            (Phase::Creating, _) | (Phase::Ready, None) => {
                let detail = format!("The image {name} is still being uploaded; wait until it is ready.");
                return Err(refuse(ProblemKind::WrongState, pointer, detail));
            }
            (Phase::Deleting, _) => {
                let detail = format!("The image {name} is being deleted; choose another.");
                return Err(refuse(ProblemKind::WrongState, pointer, detail));
            }
        };
        if content.kind != kind {
            let detail = match kind {
                ImageKind::Disk => format!("{name} is an ISO; a disk needs a disk image."),
                ImageKind::Iso => format!("{name} is a disk image; the CD-ROM drive needs an ISO."),
            };
            return Err(refuse(ProblemKind::Invalid, pointer, detail));
        }
        if image.spec.host != host {
            let detail = format!("The image {name} is on another host; upload it to the machine's host.");
            return Err(refuse(ProblemKind::Invalid, pointer, detail));
        }
        Ok(content)
    }

    /// Names of the rows a query finds for `id`.
    pub(crate) fn names(&self, sql: &str, id: impl ToString) -> Step<Vec<String>> {
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([id.to_string()], |r| r.get::<_, String>(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// `a, b and 3 more`.
pub(crate) fn enumerate(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.split_at_checked(SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => format!("{} and {} more", shown.join(", "), rest.len()),
        Some(_) | None => names.join(", "),
    }
}
