//! `apply` computes the same rows on every host: no clock, no random number, no new id is made in it.

use super::Finding;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The code that turns log entries into rows.
const HOME: &str = "hostd/cluster/src/apply";

/// Calls whose result differs from host to host, by the last name of their path.
const CALLS: [&str; 10] =
    ["now", "now_utc", "now_local", "now_v7", "new_v4", "new_v7", "rng", "thread_rng", "random", "elapsed"];
/// Types whose mere use in `apply` is a mistake.
const TYPES: [&str; 3] = ["SystemTime", "Instant", "OsRng"];

/// Checks one source file of `apply`; test modules in it may do as they like.
pub fn check(file: &str, text: &str) -> Vec<Finding> {
    if !file.starts_with(HOME) {
        return Vec::new();
    }
    let Ok(syntax) = syn::parse_file(text) else { return Vec::new() }; // told by the rules of source
    let mut reader = Reader { file, findings: Vec::new() };
    reader.visit_file(&syntax);
    reader.findings
}

struct Reader<'a> {
    file: &'a str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn refuse(&mut self, line: usize, what: &str) {
        let message =
            format!("{what}: times, ids and random values come with the entry, or replicas disagree");
        self.findings.push(Finding::new(self.file, line, "apply", message));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = item.attrs.iter().any(|a| {
            a.path().is_ident("cfg")
                && a.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        });
        if !test {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let line = path.span().start().line;
        if let Some(name) = names.iter().find(|name| TYPES.contains(&name.as_str())) {
            self.refuse(line, name);
        } else if let [.., owner, last] = names.as_slice() {
            let id = owner.ends_with("Id") && last == "new";
            if CALLS.contains(&last.as_str()) || id {
                self.refuse(line, &format!("{owner}::{last}"));
            }
        }
        visit::visit_path(self, path);
    }
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        if CALLS.contains(&name.as_str()) {
            self.refuse(call.method.span().start().line, &name);
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_random_numbers_and_new_ids_are_refused_in_apply_alone() {
        let text = "fn f() {\n let a = Timestamp::now();\n let b = VmId::new();\n let c = Uuid::new_v4();\n let d = rand::random::<u8>();\n let e: SystemTime = x;\n}\n\
             #[cfg(test)]\nmod tests { fn g() { let a = VmId::new(); } }\n";
        let found = check("hostd/cluster/src/apply/vm.rs", text);
        assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert!(check("hostd/core/src/submit.rs", text).is_empty());
        assert!(
            check("hostd/cluster/src/apply/vm.rs", "fn f(m: &Meta) { let v = Vec::new(); m.at; }").is_empty()
        );
    }
}
