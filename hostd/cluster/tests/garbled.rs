//! Commands that are almost right: whatever of them can be read is refused or done, and the state stays whole.

use crate::fixture::*;
use hostd_cluster::Settings;
use hostd_cluster::record::{decode_entry, encode_entry};
use hostd_types::command::{AuditCommand, ClusterCommand};
use hostd_types::*;
use lab::garble::for_a_while;

/// Every command there is, as other versions may send it.
fn commands() -> Vec<Vec<u8>> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/entries");
    let files = std::fs::read_dir(dir).unwrap();
    let entry = |file: std::fs::DirEntry| -> Entry {
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        serde_json::from_value(golden["entry"].clone()).unwrap()
    };
    files.map(|file| encode_entry(&entry(file.unwrap())).unwrap()).collect()
}

#[test]
fn garbled_commands_are_refused_or_done_and_the_log_goes_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let f = runtime.block_on(Fixture::new());
    let commands = commands();
    let (mut read, mut done) = (0_u32, 0_u32);
    for_a_while(15, |garbler| {
        let Ok(entry) = decode_entry(&garbler.garble_one(&commands)) else { return };
        if matches!(entry.command, Command::Cluster(ClusterCommand::Raise { level }) if level > LEVEL) {
            return; // of a newer version: consensus stops on purpose
        }
        read += 1;
        // As if it had just been asked for: the same request acts once.
        let entry = Entry { request: RequestId::new(), ..entry };
        done += u32::from(runtime.block_on(f.cluster.propose(entry)).is_ok());
        assert_eq!(runtime.block_on(f.cluster.health()).stopped, None, "consensus has stopped");
    });
    eprintln!("{read} could be read, {done} were done");
    assert!(read > 5 && done > 0, "{read} could be read, {done} were done");
    // What was written can be read by the next start, and replayed to the same state. The host may be gone: one of the
    // commands is a recovery without it.
    runtime.block_on(async {
        let applied = f.cluster.health().await.last_applied;
        let f = f.reopen(Settings::default()).await;
        assert_eq!(f.cluster.health().await.last_applied, applied);
        let action = "session.login".to_owned();
        let line =
            AuditCommand { action, subject: None, result: EventResult::Refused, detail: "after".into() };
        f.ok(Command::Audit(line)).await;
    });
}
