//! Where members may be found. Nothing here is believed: an address is only worth a try.

use hostd_types::NodeId;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// Addresses of one node that are taken from hearsay.
const HEARSAY_MOST: usize = 8;

/// Addresses of nodes, by where they come from.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    /// What an administrator said on this host.
    overrides: HashMap<NodeId, SocketAddr>,
    /// Where a connection to the node last succeeded.
    proved: HashMap<NodeId, SocketAddr>,
    /// From where the node last connected, with the port it announced.
    learned: HashMap<NodeId, SocketAddr>,
    /// What the hosts report.
    rows: BTreeMap<NodeId, Vec<SocketAddr>>,
    /// Where other members find the node.
    hearsay: BTreeMap<NodeId, Vec<SocketAddr>>,
}

impl AddressBook {
    /// All known addresses of a node, the most promising first.
    pub fn candidates(&self, node: NodeId) -> Vec<SocketAddr> {
        let single = [&self.overrides, &self.proved, &self.learned].map(|map| map.get(&node).copied());
        let lists = [&self.rows, &self.hearsay].map(|map| map.get(&node));
        let lists = lists.into_iter().flatten().flatten().copied();
        let mut all = Vec::new();
        for address in single.into_iter().flatten().chain(lists) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all
    }

    /// Takes what the hosts report, instead of what they reported before; tells which nodes have other addresses now.
    /// What was learned about a node that is not reported any more is forgotten.
    pub fn set_rows(&mut self, rows: BTreeMap<NodeId, Vec<SocketAddr>>) -> Vec<NodeId> {
        let before = std::mem::replace(&mut self.rows, rows);
        for gone in before.keys().filter(|node| !self.rows.contains_key(node)) {
            self.proved.remove(gone);
            self.learned.remove(gone);
            self.hearsay.remove(gone);
        }
        self.rows.iter().filter(|(node, now)| before.get(node) != Some(*now)).map(|(node, _)| *node).collect()
    }

    /// Takes what a member tells of where others are, instead of what was told of them before; tells of which of them an
    /// address is news. Only members whose addresses are reported are listened to about.
    pub fn hear_say(&mut self, told: BTreeMap<NodeId, Vec<SocketAddr>>) -> Vec<NodeId> {
        let told = told.into_iter().filter(|(node, _)| self.rows.contains_key(node)).collect::<Vec<_>>();
        let mut news = Vec::new();
        for (node, mut addresses) in told {
            addresses.truncate(HEARSAY_MOST);
            let known = self.candidates(node);
            if addresses.iter().any(|address| !known.contains(address)) {
                self.hearsay.insert(node, addresses);
                news.push(node);
            }
        }
        news
    }

    /// Sets or drops the address an administrator gave.
    pub fn set_override(&mut self, node: NodeId, address: Option<SocketAddr>) {
        match address {
            Some(address) => self.overrides.insert(node, address),
            None => self.overrides.remove(&node),
        };
    }

    /// The address an administrator gave.
    pub fn told(&self, node: NodeId) -> Option<SocketAddr> {
        self.overrides.get(&node).copied()
    }

    /// The node connected and proved itself; there it said it listens.
    pub fn learn(&mut self, node: NodeId, address: SocketAddr) {
        self.learned.insert(node, address);
    }

    /// A connection to the node succeeded there.
    pub fn prove(&mut self, node: NodeId, address: SocketAddr) {
        self.proved.insert(node, address);
    }

    /// Forgets everything about everybody but what an administrator said: another cluster has other nodes.
    pub fn clear(&mut self) {
        *self = Self { overrides: std::mem::take(&mut self.overrides), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn addresses_are_tried_in_the_order_of_their_promise_and_once_each() {
        let (node, mut book) = (NodeId(1), AddressBook::default());
        assert!(book.candidates(node).is_empty());
        assert_eq!(book.set_rows([(node, vec![at(4), at(3)])].into()), [node]);
        assert!(book.set_rows([(node, vec![at(4), at(3)])].into()).is_empty(), "nothing changed");
        book.learn(node, at(3));
        book.prove(node, at(2));
        book.set_override(node, Some(at(1)));
        assert_eq!(book.told(node), Some(at(1)));
        assert_eq!(book.candidates(node), [at(1), at(2), at(3), at(4)]);
        book.set_override(node, None);
        assert_eq!(book.candidates(node), [at(2), at(3), at(4)]);
    }

    #[test]
    fn what_others_tell_comes_last_and_only_of_members() {
        let (node, stranger, mut book) = (NodeId(1), NodeId(2), AddressBook::default());
        book.set_rows([(node, vec![at(1)])].into());
        assert!(book.hear_say([(node, vec![at(1)]), (stranger, vec![at(9)])].into()).is_empty());
        assert_eq!(book.hear_say([(node, vec![at(2), at(1)])].into()), [node]);
        assert_eq!(book.candidates(node), [at(1), at(2)]);
        assert!(book.candidates(stranger).is_empty());
        assert_eq!(book.hear_say([(node, (3..60).map(at).collect())].into()), [node]);
        assert_eq!(book.candidates(node).len(), 1 + HEARSAY_MOST, "in place of what was told before");
    }

    #[test]
    fn a_node_that_went_is_forgotten_and_one_that_was_never_reported_is_not() {
        let (gone, early, mut book) = (NodeId(1), NodeId(2), AddressBook::default());
        book.set_rows([(gone, vec![at(1)])].into());
        book.learn(gone, at(1));
        book.learn(early, at(2));
        assert!(book.set_rows(BTreeMap::new()).is_empty());
        assert!(book.candidates(gone).is_empty());
        assert_eq!(book.candidates(early), [at(2)]);
    }
}
