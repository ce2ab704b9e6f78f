//! What a person sees and types into: screen, serial port, pointer; and the guest agent's channel.

use super::{Surroundings, options};
use crate::element::{Element, element};
use hostd_types::{VideoDevice, VideoModel};

/// The serial port: a socket that libvirt opens, and a log that keeps what was printed with nobody listening.
pub fn serial(around: &Surroundings) -> [Element; 2] {
    let source = element("source").with("mode", "bind").with("path", around.serial_socket().display());
    let log = element("log").with("file", around.serial_log().display()).with("append", "on");
    let port =
        |tag: &'static str| element(tag).with("type", "unix").holding(source.clone()).holding(log.clone());
    [
        port("serial").holding(
            element("target")
                .with("type", "isa-serial")
                .with("port", 0)
                .holding(element("model").with("name", "isa-serial")),
        ),
        port("console").holding(element("target").with("type", "serial").with("port", 0)),
    ]
}

/// The channel of the QEMU guest agent; libvirt chooses the socket.
pub fn agent_channel() -> Element {
    element("channel")
        .with("type", "unix")
        .holding(element("target").with("type", "virtio").with("name", "org.qemu.guest_agent.0"))
}

/// The screen, of a machine with a graphics card: VNC on a Unix socket, so that nothing of a guest listens on the network. The standard VGA is the one
/// card that shows a BIOS's text, UEFI's console and every system's installer without a driver.
pub fn screen(card: &VideoDevice, around: &Surroundings) -> Vec<Element> {
    let listen = element("listen").with("type", "socket").with("socket", around.vnc_socket().display());
    let graphics = element("graphics").with("type", "vnc").holding(listen);
    let screen = (card.model != VideoModel::None).then_some(graphics);
    screen.into_iter().chain([options::video(card)]).collect()
}

/// An absolute pointer, so that the browser's and the guest's agree.
pub fn tablet() -> Element {
    element("input").with("type", "tablet").with("bus", "usb")
}
