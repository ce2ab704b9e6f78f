//! Rules about Rust source: lengths of functions, names of modules, what must not stand in code.

use super::Finding;
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Lines a function may have.
const FUNCTION_LINES: usize = 80;
/// Names that say nothing about what a module owns.
const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "helpers", "helper", "common", "misc", "manager", "service", "impl"];
/// Where SQL may stand.
const SQL_HOME: &str = "hostd/cluster/";
/// How SQL statements begin.
const SQL: [&str; 8] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "PRAGMA ",
    "ALTER TABLE ",
];
/// Crates that only one of ours may name, and that one's folder.
const CRATES: [(&str, &str); 6] = [
    ("virt", "hostd/virt/"),
    ("virt_sys", "hostd/virt/"),
    ("rtnetlink", "hostd/net/"),
    ("sqlx", SQL_HOME),
    ("rusqlite", SQL_HOME),
    ("openraft", SQL_HOME),
];
/// Programs that run text as commands.
const SHELLS: [&str; 5] = ["sh", "bash", "/bin/sh", "/bin/bash", "dash"];
/// Files that may start a shell, because the script is a constant and nothing is put into it.
const CONSTANT_SCRIPTS: [&str; 1] = ["image-build/lab/src/namespaces.rs"];
/// This file names what it looks for.
const RULES: &str = "image-build/xtask/src/tidy/";

/// Checks one source file.
pub fn check(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = names(file);
    if file.starts_with(RULES) {
        return findings;
    }
    findings.extend(words(file, text));
    match syn::parse_file(text) {
        Ok(syntax) => {
            if opens(file) && !syntax.attrs.iter().any(|a| a.path().is_ident("doc")) {
                let message = "say in a //! comment what this module owns and what it must not know";
                findings.push(Finding::new(file, 1, "module-doc", message));
            }
            let mut reader = Reader { file, findings: Vec::new() };
            reader.visit_file(&syntax);
            findings.append(&mut reader.findings);
        }
        Err(error) => {
            let line = error.span().start().line;
            findings.push(Finding::new(file, line, "syntax", error.to_string()));
        }
    }
    findings
}

/// Whether a file opens a crate or a folder of modules.
fn opens(file: &str) -> bool {
    ["/lib.rs", "/mod.rs", "/main.rs"].iter().any(|end| file.ends_with(end))
}

fn names(file: &str) -> Vec<Finding> {
    let folders = file.split('/').map(|part| part.trim_end_matches(".rs"));
    let empty = folders.filter(|name| EMPTY_NAMES.contains(name));
    empty.map(|name| Finding::new(file, 1, "name", empty_name(name))).collect()
}

fn empty_name(name: &str) -> String {
    format!("the name {name} says nothing; name the module after what it owns")
}

fn words(file: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    let unfinished =
        lines.filter(|(_, line)| line.contains("TODO") || line.contains("FIXME") || line.contains("XXX:"));
    unfinished.map(|(i, _)| Finding::new(file, i + 1, "unfinished", "finish it or leave it out")).collect()
}

/// Walks a file's syntax.
struct Reader<'a> {
    file: &'a str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn add(&mut self, span: Span, rule: &'static str, message: String) {
        self.findings.push(Finding::new(self.file, span.start().line, rule, message));
    }

    fn length(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line.saturating_sub(span.start().line) + 1;
        if lines > FUNCTION_LINES {
            let message = format!("{name} has {lines} lines; a function has at most {FUNCTION_LINES}");
            self.add(name.span(), "function", message);
        }
    }

    fn path_root(&mut self, ident: &syn::Ident) {
        let quarantined = CRATES.iter().find(|(name, home)| ident == name && !self.file.starts_with(home));
        if let Some((name, home)) = quarantined {
            self.add(ident.span(), "quarantine", format!("{name} is used in {home} alone"));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.length(&item.sig.ident, &item.block);
        self.shell(&item.block);
        visit::visit_item_fn(self, item);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.length(&item.sig.ident, &item.block);
        self.shell(&item.block);
        visit::visit_impl_item_fn(self, item);
    }
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        if EMPTY_NAMES.contains(&name.as_str()) {
            self.add(item.ident.span(), "name", empty_name(&name));
        }
        visit::visit_item_mod(self, item);
    }
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if let Some(last) = item.path.segments.last()
            && (last.ident == "todo" || last.ident == "unimplemented")
        {
            self.add(last.ident.span(), "unfinished", format!("{}!: finish it or leave it out", last.ident));
        }
        visit::visit_macro(self, item);
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1
            && let Some(first) = path.segments.first()
        {
            self.path_root(&first.ident);
        }
        visit::visit_path(self, path);
    }
    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        // Only the root of a `use` names a crate; what follows it is not visited again.
        self.path_root(&path.ident);
    }
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        let value = text.value();
        let statement = value.trim_start();
        if !self.file.starts_with(SQL_HOME) && SQL.iter().any(|begin| statement.starts_with(begin)) {
            self.add(text.span(), "sql", format!("SQL stands in {SQL_HOME} alone"));
        }
    }
}

impl Reader<'_> {
    /// A shell is refused where the same function also has `-c`: it would run text as commands. Checking a script
    /// with `sh -n` is fine.
    fn shell(&mut self, block: &syn::Block) {
        let mut words = Words::default();
        words.visit_block(block);
        if !words.command || CONSTANT_SCRIPTS.contains(&self.file) {
            return;
        }
        if let Some(span) = words.shell {
            self.add(span, "shell", "no shell: run the program itself with an argument vector".into());
        }
    }
}

/// The words of a function that make a shell run text.
#[derive(Default)]
struct Words {
    shell: Option<Span>,
    command: bool,
}

impl<'ast> Visit<'ast> for Words {
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        let value = text.value();
        if SHELLS.contains(&value.as_str()) {
            self.shell = Some(text.span());
        }
        self.command |= value == "-c";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<&'static str> {
        check(file, text).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn a_long_function_is_refused_where_it_begins() {
        let long = format!("fn short() {{}}\nfn long() {{\n{}}}\n", "    let _x = 1;\n".repeat(79));
        let found = check("a/b.rs", &long);
        assert_eq!((found.len(), found[0].rule, found[0].line), (1, "function", 2));
        let method = format!("struct S; impl S {{ fn m(&self) {{\n{}}} }}", "    let _x = 1;\n".repeat(90));
        assert_eq!(rules("a/b.rs", &method), ["function"]);
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(rules("hostd/core/src/utils.rs", "//! x\n"), ["name"]);
        assert_eq!(rules("hostd/core/src/lib.rs", "//! x\nmod helpers {}\n"), ["name"]);
    }

    #[test]
    fn a_module_without_words_is_refused() {
        assert_eq!(rules("hostd/core/src/lib.rs", "pub mod x;\n"), ["module-doc"]);
        assert!(rules("hostd/core/src/vm.rs", "pub mod x;\n").is_empty());
    }

    #[test]
    fn unfinished_work_is_refused() {
        assert_eq!(rules("a/b.rs", "fn f() { todo!() }"), ["unfinished"]);
        assert_eq!(rules("a/b.rs", "fn f() { unimplemented!(\"x\") }"), ["unfinished"]);
        assert_eq!(rules("a/b.rs", "// TODO: x\n"), ["unfinished"]);
    }

    #[test]
    fn sql_libvirt_and_netlink_stay_where_they_belong() {
        let sql = "fn f() -> &'static str { \"SELECT id FROM vm\" }";
        assert_eq!(rules("hostd/core/src/x.rs", sql), ["sql"]);
        assert!(rules("hostd/cluster/src/x.rs", sql).is_empty());
        assert_eq!(rules("hostd/core/src/x.rs", "use virt::connect::Connect;"), ["quarantine"]);
        assert_eq!(rules("hostd/src/x.rs", "fn f() { rtnetlink::new_connection(); }"), ["quarantine"]);
        assert!(
            rules("hostd/virt/src/x.rs", "use virt::connect::Connect; use hostd_types::virt::X;").is_empty()
        );
        assert!(rules("hostd/core/src/x.rs", "use crate::virt::Connect;").is_empty());
    }

    #[test]
    fn shells_are_refused() {
        assert_eq!(rules("a/b.rs", "fn f() { Command::new(\"sh\").arg(\"-c\").arg(x); }"), ["shell"]);
        assert!(rules("a/b.rs", "fn f() { Command::new(\"sh\").arg(\"-n\").arg(x); }").is_empty());
        assert_eq!(rules("a/b.rs", "fn f() { c.args([\"bash\", \"-c\", x]); }"), ["shell"]);
        assert!(rules("a/b.rs", "fn f() { Command::new(\"qemu-img\"); }").is_empty());
    }
}
