//! The kernel's side: dumps into [`Observed`], and one [`Step`] at a time into changes. The only module that speaks
//! netlink. It acts on the network namespace of the thread that opened it.

use crate::desired::{LinkName, Mac};
use crate::error::NetError;
use crate::observed::{Address, Link, LinkKind, Observed, Route};
use crate::route;
use crate::step::Step;
use crate::{dhcp_client, sysfs};
use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Error numbers of the kernel that have a meaning here.
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EOPNOTSUPP: i32 = 95;
const EADDRNOTAVAIL: i32 = 99;

/// The netlink socket.
#[derive(Clone)]
pub struct Kernel {
    socket: Handle,
    /// Held while a list is read: the kernel gives one at a time on a socket and answers EBUSY to a second
    /// (`__netlink_dump_start` in its `net/netlink/af_netlink.c`).
    listing: Arc<Mutex<()>>,
}

fn failed(operation: &str, cause: &rtnetlink::Error) -> NetError {
    match cause {
        rtnetlink::Error::NetlinkError(message) => NetError::call(operation, &message.to_io()),
        other => NetError::call(operation, other),
    }
}

/// The kernel's error number, positive.
fn number(error: &rtnetlink::Error) -> i32 {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.raw_code().abs(),
        _other_has_none => 0,
    }
}

/// Success also when the kernel says by one of `fine` that it is so already.
fn unless(result: Result<(), rtnetlink::Error>, fine: &[i32]) -> Result<(), rtnetlink::Error> {
    match result {
        Err(e) if fine.contains(&number(&e)) => Ok(()),
        other => other,
    }
}

/// Every link, address and route.
async fn lists(socket: &Handle) -> Result<Observed, NetError> {
    let mut seen = Observed::default();
    let links = socket.link().get().execute().try_collect::<Vec<_>>().await;
    let links = links.map_err(|e| failed("listing links", &e))?;
    seen.links = links.into_iter().filter_map(link).collect();
    let addresses = socket.address().get().execute().try_collect::<Vec<_>>().await;
    let addresses = addresses.map_err(|e| failed("listing addresses", &e))?;
    seen.addresses = addresses.into_iter().filter_map(address).collect();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut query = RouteMessage::default();
        query.header.address_family = family;
        let routes = socket.route().get(query).execute().try_collect::<Vec<_>>().await;
        for message in routes.map_err(|e| failed("listing routes", &e))? {
            seen.shared.extend(route::shared_links(&message));
            seen.routes.extend(route::read(&message));
        }
    }
    Ok(seen)
}

impl Kernel {
    /// Opens the socket; needs a tokio runtime, which drives it.
    pub fn open() -> Result<Self, NetError> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|e| NetError::call("opening a netlink socket", &e))?;
        tokio::spawn(connection);
        Ok(Self { socket: handle, listing: Arc::default() })
    }

    /// Everything there is now; DHCP clients of `clients` only.
    pub async fn observe(&self, clients: &[&LinkName]) -> Result<Observed, NetError> {
        let (socket, listing) = (self.socket.clone(), self.listing.clone());
        // A task of its own, so that a caller who leaves half-way does not leave half a list on the socket.
        let lists = tokio::spawn(async move {
            let _one = listing.lock().await;
            lists(&socket).await
        });
        let mut seen = lists.await.map_err(|e| NetError::call("listing the network", &e))??;
        for name in clients {
            if let Some(client) = dhcp_client::running(name) {
                seen.clients.insert((*name).clone(), client.argv);
            }
        }
        Ok(seen)
    }

    /// Does one step.
    pub async fn apply(&self, step: &Step) -> Result<(), NetError> {
        tracing::debug!(%step, "network");
        let done = match step {
            Step::StopClient { link } => return dhcp_client::stop(link).await,
            Step::StartClient { argv, .. } => return dhcp_client::start(argv).await,
            Step::CreateBridge { bridge, mac } => return self.create_bridge(bridge, *mac).await,
            Step::SettleBridge { bridge } => self.settle(bridge).await,
            Step::SetMac { link, mac } => self.set(link, |m| m.address(mac.0.to_vec())).await,
            Step::LinkUp { link } => self.set(link, LinkMessageBuilder::up).await,
            Step::Attach { port, bridge } => self.attach(port, bridge).await,
            Step::DeleteBridge { bridge } => unless(self.delete(bridge).await, &[ENODEV]),
            Step::AddAddress { link, address } => unless(self.add_address(link, address).await, &[EEXIST]),
            // Gone already when it was secondary to one that was removed just before.
            Step::RemoveAddress { link, address } => {
                unless(self.remove_address(link, address).await, &[EADDRNOTAVAIL])
            }
            Step::AddRoute { link, route } => unless(self.add_route(link, route).await, &[EEXIST]),
            Step::RemoveRoute { link, route } => {
                unless(self.remove_route(link, route).await, &[ESRCH, ENOENT])
            }
        };
        done.map_err(|e| failed(&step.to_string(), &e))
    }

    async fn create_bridge(&self, bridge: &LinkName, mac: Mac) -> Result<(), NetError> {
        let message =
            settled(LinkMessageBuilder::<LinkBridge>::new(bridge.as_str())).address(mac.0.to_vec()).build();
        self.socket.link().add(message).execute().await.map_err(|e| match number(&e) {
            EOPNOTSUPP => NetError::Unsupported {
                feature: "Linux bridges (kernel module bridge)",
                message: e.to_string(),
            },
            _other => failed(&format!("making the bridge {bridge}"), &e),
        })
    }

    async fn index(&self, name: &LinkName) -> Result<u32, rtnetlink::Error> {
        let mut found = self.socket.link().get().match_name(name.to_string()).execute();
        Ok(found.try_next().await?.map(|m| m.header.index).unwrap_or_default())
    }

    async fn settle(&self, bridge: &LinkName) -> Result<(), rtnetlink::Error> {
        let builder = settled(LinkMessageBuilder::<LinkBridge>::new(bridge.as_str()));
        let message = builder.index(self.index(bridge).await?).build();
        self.socket.link().change(message).execute().await
    }

    async fn set(
        &self,
        link: &LinkName,
        with: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<(), rtnetlink::Error> {
        let message = with(LinkUnspec::new_with_index(self.index(link).await?)).build();
        self.socket.link().change(message).execute().await
    }

    async fn attach(&self, port: &LinkName, bridge: &LinkName) -> Result<(), rtnetlink::Error> {
        let bridge = self.index(bridge).await?;
        self.set(port, |m| m.controller(bridge)).await
    }

    async fn delete(&self, bridge: &LinkName) -> Result<(), rtnetlink::Error> {
        let index = self.index(bridge).await?;
        self.socket.link().del(index).execute().await
    }

    async fn add_address(&self, link: &LinkName, address: &IpNet) -> Result<(), rtnetlink::Error> {
        let index = self.index(link).await?;
        self.socket.address().add(index, address.addr(), address.prefix_len()).execute().await
    }

    async fn remove_address(&self, link: &LinkName, address: &IpNet) -> Result<(), rtnetlink::Error> {
        let index = self.index(link).await?;
        let mut same = self.socket.address().add(index, address.addr(), address.prefix_len());
        let message = std::mem::take(same.message_mut());
        self.socket.address().del(message).execute().await
    }

    async fn add_route(&self, link: &LinkName, route: &Route) -> Result<(), rtnetlink::Error> {
        let message = route::message(route, self.index(link).await?);
        self.socket.route().add(message).execute().await
    }

    async fn remove_route(&self, link: &LinkName, route: &Route) -> Result<(), rtnetlink::Error> {
        let message = route::message(route, self.index(link).await?);
        self.socket.route().del(message).execute().await
    }
}

/// A bridge's message without spanning tree and forward delay.
fn settled(message: LinkMessageBuilder<LinkBridge>) -> LinkMessageBuilder<LinkBridge> {
    message
        .append_info_data(InfoBridge::StpState(BridgeStpState::Disabled))
        .append_info_data(InfoBridge::ForwardDelay(0))
}

fn link(message: LinkMessage) -> Option<Link> {
    let mut seen = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        kind: LinkKind::Plain,
        up: message.header.flags.contains(LinkFlags::Up),
        carrier: message.header.flags.contains(LinkFlags::LowerUp),
        master: None,
        physical: false,
        wireless: false,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => seen.name = name,
            LinkAttribute::Address(bytes) => seen.mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::Controller(index) => seen.master = Some(index).filter(|i| *i != 0),
            LinkAttribute::LinkInfo(info) => seen.kind = kind(&info),
            _not_needed => {}
        }
    }
    if seen.name.is_empty() {
        return None;
    }
    seen.physical = sysfs::physical(&seen.name);
    seen.wireless = sysfs::wireless(&seen.name);
    Some(seen)
}

fn kind(info: &[LinkInfo]) -> LinkKind {
    let kind = info.iter().find_map(|i| match i {
        LinkInfo::Kind(kind) => Some(kind),
        _other => None,
    });
    match kind {
        None => LinkKind::Plain,
        Some(InfoKind::Veth) => LinkKind::Veth,
        Some(InfoKind::Bond | InfoKind::Team | InfoKind::Vlan) => LinkKind::Stacked,
        Some(InfoKind::Bridge) => {
            let data = info.iter().find_map(|i| match i {
                LinkInfo::Data(InfoData::Bridge(data)) => Some(data.as_slice()),
                _other => None,
            });
            let (mut stp, mut forward_delay) = (false, 0);
            for item in data.unwrap_or_default() {
                match item {
                    InfoBridge::StpState(state) => stp = *state != BridgeStpState::Disabled,
                    InfoBridge::ForwardDelay(delay) => forward_delay = *delay,
                    _not_needed => {}
                }
            }
            LinkKind::Bridge { stp, forward_delay }
        }
        Some(_software) => LinkKind::Virtual,
    }
}

fn address(message: AddressMessage) -> Option<Address> {
    let (mut remote, mut local, mut flags) = (None::<IpAddr>, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(a) => remote = Some(*a),
            AddressAttribute::Local(a) => local = Some(*a),
            AddressAttribute::Flags(f) => flags = Some(*f),
            _not_needed => {}
        }
    }
    let net = IpNet::new(local.or(remote)?, message.header.prefix_len).ok()?;
    let flags = flags.unwrap_or(AddressFlags::from_bits_retain(message.header.flags.bits().into()));
    Some(Address { link: message.header.index, net, permanent: flags.contains(AddressFlags::Permanent) })
}
