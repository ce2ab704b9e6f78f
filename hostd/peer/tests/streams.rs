use crate::site::{SOON, Site, acquaint};
use hostd_peer::LinkError;
use hostd_types::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bytes_flow_both_ways_and_ends_are_told_apart() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    let stream = one.link.stream(NodeId(2), b"echo".to_vec(), SOON).await.expect("a stream");
    let (mut read, mut write) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut back = Vec::new();
    let writing = async {
        write.write_all(&sent).await.expect("written");
        write.shutdown().await.expect("ended");
    };
    let (_, read) = tokio::join!(writing, read.read_to_end(&mut back));
    read.expect("the other side ended with a goodbye");
    assert!(back == sent);
}

#[tokio::test]
async fn a_stream_that_nobody_wants_is_refused_with_a_reason() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    let refused = one.link.stream(NodeId(2), b"console 9".to_vec(), SOON).await.err();
    assert_eq!(refused, Some(LinkError::Refused("there is no such console".into())));
    let dropped = one.link.stream(NodeId(2), b"hang up".to_vec(), SOON).await.err();
    assert!(matches!(dropped, Some(LinkError::Lost(_))), "{dropped:?}");
    two.host.refuse(1, true, "gone");
    let removed = one.link.stream(NodeId(2), b"echo".to_vec(), SOON).await.err();
    assert_eq!(removed, Some(LinkError::Removed("gone".into())));
}

#[tokio::test]
async fn a_removed_host_and_another_identity_lose_their_streams() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    let mut stream = one.link.stream(NodeId(2), b"echo".to_vec(), SOON).await.expect("a stream");
    two.host.refuse(1, true, "gone");
    let mut byte = [0];
    let end = tokio::time::timeout(SOON, stream.read(&mut byte)).await.expect("it ends");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    two.host.admit(1);
    let mut stream = one.link.stream(NodeId(2), b"echo".to_vec(), SOON).await.expect("a stream");
    one.link.set_identity(None).expect("left");
    let end = tokio::time::timeout(SOON, stream.read(&mut byte)).await.expect("it ends");
    assert!(end.is_err(), "{end:?}");
    assert!(stream.write_all(b"x").await.is_err());
}
