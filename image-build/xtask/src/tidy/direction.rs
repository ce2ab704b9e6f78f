//! Which crate may use which: our own crates by direction, and the libraries that one crate alone may link.

use super::Finding;
use serde_json::Value;

/// A crate of ours and the crates of ours it may use. Read it downwards: what is above knows nothing of what is below.
const OURS: [(&str, &[&str]); 13] = [
    ("hostd-types", &[]),
    ("hostd-run", &[]),
    ("hostd-peer", &["hostd-types"]),
    ("hostd-cluster", &["hostd-types", "hostd-run"]),
    ("hostd-net", &["hostd-types", "hostd-run"]),
    ("hostd-virt", &["hostd-types", "hostd-run"]),
    ("hostd-core", &["hostd-types", "hostd-run", "hostd-peer", "hostd-cluster", "hostd-net", "hostd-virt"]),
    ("hostd-edge", &["hostd-types", "hostd-core"]),
    ("webui", &["hostd-types", "hostd-core", "hostd-edge"]),
    ("hostd", &["hostd-types", "hostd-core", "hostd-edge", "webui"]),
    ("image-build", &[]),
    ("image-build-lab", &[]),
    ("image-build-xtask", &["image-build-lab"]),
];

/// Crates that tests of any of our crates may use: hosts, types, and what a stranger at the door speaks.
const FOR_TESTS: [&str; 3] = ["image-build-lab", "hostd-types", "hostd-peer"];

/// Libraries only the named crates link, also in tests.
const QUARANTINE: [(&str, &[&str]); 8] = [
    ("virt", &["hostd-virt"]),
    ("virt-sys", &["hostd-virt"]),
    ("rtnetlink", &["hostd-net"]),
    ("sqlx", &["hostd-cluster"]),
    ("rusqlite", &["hostd-cluster"]),
    ("openraft", &["hostd-cluster"]),
    ("askama", &["webui"]),
    ("axum", &["hostd-edge", "webui", "hostd"]),
];

/// Refuses dependencies against the direction.
pub fn check(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for package in packages.iter().filter(|p| p["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = manifest_path(metadata, package);
        let Some((_, uses)) = OURS.iter().find(|(own, _)| *own == name) else {
            let message =
                format!("crate {name} has no place in the direction of dependencies; give it one in tidy");
            findings.push(Finding::new(&manifest, 1, "direction", message));
            continue;
        };
        for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let test = dependency["kind"] == "dev";
            let ours = OURS.iter().any(|(own, _)| *own == used);
            // A crate's tests may ask for features of it that nothing else turns on.
            let own = used == name || FOR_TESTS.contains(&used);
            if ours && !uses.contains(&used) && !(test && own) {
                let message = format!(
                    "{name} must not use {used}: dependencies point from the daemon down to the types"
                );
                findings.push(Finding::new(&manifest, 1, "direction", message));
            }
            if let Some((_, by)) = QUARANTINE.iter().find(|(library, _)| *library == used)
                && !by.contains(&name)
            {
                let message = format!("{used} is linked by {} alone, not by {name}", by.join(", "));
                findings.push(Finding::new(&manifest, 1, "direction", message));
            }
        }
    }
    findings
}

fn manifest_path(metadata: &Value, package: &Value) -> String {
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let path = package["manifest_path"].as_str().unwrap_or_default();
    path.strip_prefix(root).unwrap_or(path).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(name: &str, dependencies: Value) -> Vec<String> {
        let package = json!({"name": name, "source": null, "manifest_path": "/r/x/Cargo.toml", "dependencies": dependencies});
        check(&json!({"workspace_root": "/r", "packages": [package]}))
            .into_iter()
            .map(|f| f.message)
            .collect()
    }

    #[test]
    fn a_dependency_upwards_is_refused_and_one_downwards_is_not() {
        assert!(refused("hostd-core", json!([{"name": "hostd-virt", "kind": null}])).is_empty());
        assert!(
            refused("hostd-virt", json!([{"name": "hostd-core", "kind": null}]))[0].contains("hostd-core")
        );
        assert!(refused("hostd-virt", json!([{"name": "image-build-lab", "kind": "dev"}])).is_empty());
        assert_eq!(refused("hostd-virt", json!([{"name": "image-build-lab", "kind": null}])).len(), 1);
    }

    #[test]
    fn a_quarantined_library_and_an_unknown_crate_are_refused() {
        assert!(
            refused("hostd-core", json!([{"name": "rusqlite", "kind": "dev"}]))[0].contains("hostd-cluster")
        );
        assert!(refused("hostd-virt", json!([{"name": "virt", "kind": null}])).is_empty());
        assert!(refused("common", json!([]))[0].contains("no place"));
    }
}
