//! Several hosts on one switch: each a [`Host`] with its daemon, which can be cut off, frozen, crashed and switched off.
//!
//! Hosts talk to each other over the switch alone (10.77.0.0/16); this process reaches each by a cable of its own, which
//! no cut touches. Hosts are numbered from 0 and are called h1, h2, …

use crate::host::Host;
use crate::http::{Http, Target};
use crate::hub::Hub;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// Running hosts. Dropping the fleet ends them all.
#[derive(Debug)]
pub struct Fleet {
    /// What hosts run that are added.
    program: PathBuf,
    dir: PathBuf,
    seats: Vec<Seat>,
    /// Last, so that hosts go first.
    hub: Hub,
}

/// One host's place.
#[derive(Debug)]
struct Seat {
    name: String,
    address: Ipv4Addr,
    /// What its daemon is.
    program: PathBuf,
    /// Its daemon is a witness, and no libvirt is on it.
    witness: bool,
    /// Absent while its power is off.
    host: Option<Host>,
}

impl Fleet {
    /// Why no fleet can be made here.
    pub fn missing() -> Option<String> {
        Host::missing()
    }

    /// Starts `count` hosts that run `program` (a `hostd`), all at once, with their state below `dir`. Keep the path
    /// short: Unix socket paths below it must fit 107 bytes.
    ///
    /// # Errors
    /// When one does not answer in time.
    pub async fn start(program: &Path, dir: &Path, count: usize) -> Result<Self> {
        let mut fleet = Self {
            program: program.to_owned(),
            dir: dir.canonicalize()?,
            seats: Vec::new(),
            hub: Hub::start()?,
        };
        fleet.add(count).await?;
        Ok(fleet)
    }

    /// Starts `count` more hosts, all at once.
    ///
    /// # Errors
    /// When one does not answer in time.
    pub async fn add(&mut self, count: usize) -> Result<()> {
        self.add_seats(count, false).await
    }

    /// Starts one more machine, with a witness and without libvirt.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn add_witness(&mut self) -> Result<()> {
        self.add_seats(1, true).await
    }

    async fn add_seats(&mut self, count: usize, witness: bool) -> Result<()> {
        let first = self.seats.len();
        for index in first..first + count {
            let number = u8::try_from(index + 1).context("at most 254 hosts")?;
            let address = Ipv4Addr::new(10, 77, 0, number);
            let program = self.program.clone();
            self.seats.push(Seat { name: format!("h{number}"), address, program, witness, host: None });
        }
        self.power_on((first..first + count).collect()).await
    }

    /// From its next start on host `i`'s daemon is `program`, another build or version.
    pub fn run_as(&mut self, i: usize, program: &Path) {
        let seat = &mut self.seats[i];
        seat.program = program.to_owned();
        if let Some(host) = &mut seat.host {
            host.run_as(program);
        }
    }

    /// Hosts added from here on run `program`.
    pub fn add_as(&mut self, program: &Path) {
        self.program = program.to_owned();
    }

    /// How many hosts there are, whether on or off.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Whether host `i`'s daemon was started and not ended by anybody here.
    pub fn is_on(&self, i: usize) -> bool {
        self.seats[i].host.as_ref().is_some_and(|host| host.pid().is_some())
    }

    /// Host `i`.
    ///
    /// # Panics
    /// When its power is off.
    pub fn host(&self, i: usize) -> &Host {
        self.seats[i].host.as_ref().expect("the host is on")
    }

    /// Host `i`, to do something to it.
    ///
    /// # Panics
    /// When its power is off.
    pub fn host_mut(&mut self, i: usize) -> &mut Host {
        self.seats[i].host.as_mut().expect("the host is on")
    }

    /// The name host `i` was started with.
    pub fn name(&self, i: usize) -> &str {
        &self.seats[i].name
    }

    /// Host `i`'s address on the switch.
    pub fn address(&self, i: usize) -> Ipv4Addr {
        self.seats[i].address
    }

    /// A client of host `i`'s API socket, where root needs no login.
    pub fn console(&self, i: usize) -> Http {
        self.host(i).console()
    }

    /// A client of host `i` over TLS that is nobody yet.
    pub fn network(&self, i: usize) -> Http {
        Http::new(Target::Tls(self.host(i).address()))
    }

    /// Pulls host `i`'s cable out of the switch.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self, i: usize) -> Result<()> {
        self.hub.set_port(self.name(i), false)
    }

    /// Puts host `i`'s cable back.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn heal(&self, i: usize) -> Result<()> {
        self.hub.set_port(self.name(i), true)
    }

    /// Loses what host `from` sends to host `to`.
    ///
    /// # Errors
    /// When the kernel can't filter frames.
    pub fn cut_way(&mut self, from: usize, to: usize) -> Result<()> {
        self.hub.set_way(&self.seats[from].name, &self.seats[to].name, false)
    }

    /// Loses what hosts `i` and `j` send to each other.
    ///
    /// # Errors
    /// When the kernel can't filter frames.
    pub fn cut_pair(&mut self, i: usize, j: usize) -> Result<()> {
        self.cut_way(i, j)?;
        self.cut_way(j, i)
    }

    /// Lets hosts `i` and `j` talk to each other again, both ways.
    ///
    /// # Errors
    /// When the kernel can't filter frames.
    pub fn heal_pair(&mut self, i: usize, j: usize) -> Result<()> {
        self.hub.set_way(&self.seats[i].name, &self.seats[j].name, true)?;
        self.hub.set_way(&self.seats[j].name, &self.seats[i].name, true)
    }

    /// Puts every cable back and loses nothing any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn heal_all(&mut self) -> Result<()> {
        self.hub.open_all_ways()?;
        let on = self.seats.iter().filter(|seat| seat.host.is_some());
        on.map(|seat| &seat.name).try_for_each(|name| self.hub.set_port(name, true))
    }

    /// Kills host `i`'s daemon as a crash would; guests go on running.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn crash(&mut self, i: usize) -> Result<()> {
        self.host_mut(i).kill()
    }

    /// Cuts host `i`'s power: its daemon, libvirt and guests are gone at once.
    ///
    /// # Errors
    /// When it can't be killed.
    ///
    /// # Panics
    /// When its power is off.
    pub fn power_cut(&mut self, i: usize) -> Result<()> {
        self.seats[i].host.take().expect("the host is on").cut_power()
    }

    /// Stops the execution of host `i`'s daemon until [`Self::thaw`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, i: usize) -> Result<()> {
        self.host(i).signal(Signal::SIGSTOP)
    }

    /// Lets host `i`'s daemon go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self, i: usize) -> Result<()> {
        self.host(i).signal(Signal::SIGCONT)
    }

    /// Starts host `i`'s daemon again, killing it first if it runs; boots the host first if its power is off.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn restart(&mut self, i: usize) -> Result<()> {
        match &mut self.seats[i].host {
            Some(host) => host.restart().await,
            None => self.power_on(vec![i]).await,
        }
    }

    /// Gives host `i` another address on the switch, at once and for good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn readdress(&mut self, i: usize, address: Ipv4Addr) -> Result<()> {
        if let Some(host) = &self.seats[i].host {
            Hub::readdress(host.libvirt.namespaces(), address)?;
        }
        self.seats[i].address = address;
        Ok(())
    }

    /// Switches hosts on, all at once, and waits until their daemons answer.
    async fn power_on(&mut self, hosts: Vec<usize>) -> Result<()> {
        let mut booting = JoinSet::new();
        for i in hosts {
            let (program, dir, name) =
                (self.seats[i].program.clone(), self.dir.join(self.name(i)), self.name(i).to_owned());
            let prepare = if self.seats[i].witness { Host::prepare_witness } else { Host::prepare };
            booting.spawn_blocking(move || (i, prepare(&program, &dir, &name)));
        }
        let mut starting = JoinSet::new();
        while let Some(booted) = booting.join_next().await {
            let (i, host) = booted?;
            let seat = &self.seats[i];
            let mut host = host.with_context(|| format!("booting {}", seat.name))?;
            self.hub.plug(&seat.name, host.libvirt.namespaces(), seat.address)?;
            starting.spawn(async move {
                let started = host.restart().await;
                (i, host, started)
            });
        }
        while let Some(started) = starting.join_next().await {
            let (i, host, started) = started?;
            self.seats[i].host = Some(host);
            started.with_context(|| format!("starting {}", self.seats[i].name))?;
        }
        Ok(())
    }
}
