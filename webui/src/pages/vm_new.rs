//! A new machine.

use super::Answer;
use super::vm_new_devices::DeviceRows;
use crate::filters;
use crate::flash::Flash;
use crate::forms::vm::VmForm;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Query;
use hostd_core::{HostView, ImageView, NetworkView, SpecificationView, VolumeView};
use hostd_types::command::VmCommand;
use hostd_types::{Command, GuestOs, ImageKind, Problem, ProblemKind, VmId};
use hostd_types::{HostDevices, HostId};
use serde::Deserialize;

/// What the form can choose from.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    pub(crate) disks: Vec<ImageView>,
    pub(crate) isos: Vec<ImageView>,
    pub(crate) volumes: Vec<VolumeView>,
    pub(crate) networks: Vec<NetworkView>,
    pub(crate) host: Option<HostView>,
    /// Value and path of each folder.
    pub(crate) folders: Vec<(String, String)>,
    /// What is on the buses of the host.
    pub(crate) devices: HostDevices,
    /// Why that is not known; empty when it is.
    pub(crate) devices_unknown: String,
    /// Id and name of each customization specification.
    pub(crate) specifications: Vec<(String, String)>,
}

impl Choices {
    /// The host's guests run in software.
    pub(crate) fn emulation(&self) -> bool {
        use hostd_types::Acceleration::Emulation;
        self.host.as_ref().is_some_and(|h| matches!(h.facts.acceleration, Emulation { .. }))
    }
    /// Everything on `host` that is ready to be used now.
    pub(crate) async fn load(visit: &Visit, host: HostId) -> Result<Self, crate::error::PageError> {
        let images = visit.core.images_on(host).await.or_page(visit)?;
        let of = |kind| move |i: &ImageView| i.image.status.content.as_ref().is_some_and(|c| c.kind == kind);
        let (isos, rest): (Vec<_>, Vec<_>) = images.into_iter().partition(of(ImageKind::Iso));
        let (devices, devices_unknown) = match visit.core.host_devices(host).await {
            Ok(devices) => (devices, String::new()),
            Err(problem) => (HostDevices::default(), problem.detail),
        };
        Ok(Self {
            disks: rest.into_iter().filter(of(ImageKind::Disk)).collect(),
            isos,
            volumes: visit.core.free_volumes_on(host).await.or_page(visit)?,
            networks: visit.core.networks_on(host).await.or_page(visit)?,
            folders: crate::forms::filing::options(&visit.core.folders().await.or_page(visit)?),
            specifications: visit
                .core
                .specifications()
                .await
                .or_page(visit)?
                .into_iter()
                .map(named_specification)
                .collect(),
            host: visit.core.host_view(host).await.ok(),
            devices,
            devices_unknown,
        })
    }
}

fn named_specification(view: SpecificationView) -> (String, String) {
    let windows = if view.specification.spec.customization.windows.is_some() { " (Windows)" } else { "" };
    (view.specification.id.to_string(), format!("{}{windows}", view.specification.spec.name))
}

impl Choices {
    /// What the names of the chosen images tell of the guest.
    fn guest(&self, form: &VmForm) -> Option<GuestOs> {
        let over = form.disks.iter().filter(|disk| disk.from == "image").map(|disk| &disk.image);
        let mut chosen = std::iter::once(&form.cdrom).chain(over);
        chosen.find_map(|id| {
            let image = self.isos.iter().chain(&self.disks).find(|i| i.image.id.to_string() == *id)?;
            GuestOs::of_image(&image.image.spec.name)
        })
    }
}

/// The form.
#[derive(Template)]
#[template(path = "vm/new.html")]
pub(crate) struct NewVmPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) form: VmForm,
    pub(crate) choices: Choices,
}
page!(NewVmPage, refusal);

impl NewVmPage {
    /// The parts of the form, which are steps where scripts run.
    const STEPS: [(&'static str, &'static str); 10] = [
        ("basics", "Basics"),
        ("placement", "Placement"),
        ("filing", "Folder"),
        ("hardware", "Hardware"),
        ("boot", "Boot media"),
        ("storage", "Storage"),
        ("network", "Network"),
        ("customization", "Customization"),
        ("options", "Options"),
        ("review", "Review"),
    ];

    /// What the maker of the chosen guest asks for.
    fn wants(&self) -> String {
        GuestOs::named(&self.form.guest_os).map(|os| crate::wording::wants(os.profile())).unwrap_or_default()
    }
    /// How many processors there are.
    fn threads(&self) -> String {
        let said =
            |h: &HostView| format!("The host has {}.", crate::units::count(&h.facts.cpu.threads, "thread"));
        self.choices.host.as_ref().map(said).unwrap_or_default()
    }
    /// How much memory there is.
    fn memory(&self) -> String {
        let said = |h: &HostView| format!("The host has {}.", crate::units::bytes(h.facts.memory_bytes));
        self.choices.host.as_ref().map(said).unwrap_or_default()
    }
    /// Room left in the pool, bytes.
    fn free(&self) -> Option<u64> {
        Some(self.choices.host.as_ref()?.facts.pools.first()?.free_bytes)
    }
    /// The devices of the host, with what was ticked.
    fn devices(&self) -> DeviceRows {
        DeviceRows::of(&self.choices.devices, &self.form.host_devices, &self.refusal)
    }
    /// The message beside a field of disk `index`.
    fn disk_error(&self, index: &usize, field: &str) -> &str {
        self.refusal.at(&format!("/disks/{index}/{field}"))
    }
    /// The message beside a field of card `index`.
    fn nic_field(&self, index: &usize, field: &str) -> &str {
        self.refusal.at(&format!("/nics/{index}/{field}"))
    }
    /// The message beside the network of card `index`.
    fn nic_error(&self, index: &usize) -> &str {
        self.refusal.at(&format!("/nics/{index}/network"))
    }
}

/// An image to begin with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Begin {
    image: String,
    host: String,
}

/// `GET /vms/new`
pub(crate) async fn show(visit: Visit, Query(begin): Query<Begin>) -> Answer {
    let host = match begin.image.parse() {
        // An image is used where it is.
        Ok(id) => visit.core.image(id).await.map_or(visit.core.host(), |i| i.image.spec.host),
        Err(_) => visit.frame.places.chosen(&begin.host, visit.core.host()),
    };
    let choices = Choices::load(&visit, host).await?;
    let mut form = VmForm::fresh(choices.networks.first().map(|n| n.network.id));
    form.host = host.to_string();
    if choices.isos.iter().any(|i| i.image.id.to_string() == begin.image) {
        form.cdrom = begin.image;
    } else if choices.disks.iter().any(|i| i.image.id.to_string() == begin.image) {
        form.disks[0].from = "image".into();
        form.disks[0].image = begin.image;
    }
    if let Some(os) = choices.guest(&form) {
        form.adopt(os.profile());
    }
    Ok(answer(&page_of(&visit, form, choices, None)))
}

fn page_of(visit: &Visit, form: VmForm, choices: Choices, problem: Option<Problem>) -> NewVmPage {
    let layout = visit.layout("vm-new", Section::Vms, "New machine");
    NewVmPage { layout, refusal: Refusal(problem), form, choices }
}

/// `POST /vms`: creates the machine, or shows the form again with another row or with what is wrong.
pub(crate) async fn create(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let mut form = VmForm::read(&submission.fields);
    if let Some(button) = submission.fields.find("rows") {
        if button != "guest" {
            form.change(button);
        }
        let host = visit.frame.places.chosen(&form.host, visit.core.host());
        let choices = Choices::load(visit, host).await?;
        if let (true, Some(first)) = (button.starts_with("host-"), choices.networks.first()) {
            form.nics.iter_mut().for_each(|nic| nic.network = first.network.id.to_string());
        }
        if button == "guest" {
            let chosen = GuestOs::named(&form.guest_os).or_else(|| choices.guest(&form));
            chosen.into_iter().for_each(|os| form.adopt(os.profile()));
        }
        return Ok(answer(&page_of(visit, form, choices, None)));
    }
    let host = visit.frame.places.chosen(&form.host, visit.core.host());
    let named_host = visit.frame.places.named(&form.host, visit.core.host());
    let problem = match named_host.and_then(|host| Ok((host, form.machine()?))) {
        Ok((host, vm)) => {
            let id = VmId::new();
            let advice = vm.customization.as_ref().and_then(hostd_core::login_advice).unwrap_or_default();
            let said = format!("{} is being created. {advice}", vm.name);
            let command = VmCommand::Create { id, host, vm, found: Vec::new() };
            match submission.submit(Command::Vm(command)).await {
                Ok(outcome) => {
                    // A form sent twice acts once: its first machine is the one to show.
                    let id = outcome.subject.as_ref().map_or_else(|| id.to_string(), |s| s.id.clone());
                    return Ok(Flash::accepted(said, &outcome).then(&format!("/vms/{id}")));
                }
                Err(problem) if problem.kind == ProblemKind::Exists && problem.errors.is_empty() => {
                    named(problem)
                }
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    Ok(answer(&page_of(visit, form, Choices::load(visit, host).await?, Some(problem))))
}

/// A taken name belongs beside the name.
pub(crate) fn named(mut problem: Problem) -> Problem {
    problem.errors =
        vec![hostd_types::FieldError { pointer: "/name".into(), detail: problem.detail.clone() }];
    problem
}
