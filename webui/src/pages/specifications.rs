//! Customization specifications: the list, and the form of one.

use super::Answer;
use crate::fields::{Fields, Reading};
use crate::filters;
use crate::flash::Flash;
use crate::forms::choice::plain_breaks;
use crate::forms::customize::CustomizeForm;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_core::SpecificationView;
use hostd_types::command::SpecificationCommand;
use hostd_types::{Command, CreateSpecification, Customization, EditSpecification, Problem, SpecificationId};

/// Rows for cards that a new form has.
const CARDS: usize = 1;
/// Most rows for cards.
const CARDS_MAX: usize = 8;

/// The list.
#[derive(Template)]
#[template(path = "specifications.html")]
pub(crate) struct SpecificationsPage {
    pub(crate) layout: Layout,
    pub(crate) specifications: Vec<SpecificationView>,
}
page!(SpecificationsPage);

/// The form of a new one, or of one that is there.
#[derive(Template)]
#[template(path = "specification.html")]
pub(crate) struct SpecificationPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    /// The one that is changed; none: a new one.
    pub(crate) view: Option<SpecificationView>,
    /// Its name as typed.
    pub(crate) called: String,
    pub(crate) description: String,
    pub(crate) form: CustomizeForm,
    /// That of the one the form was filled from.
    pub(crate) generation: u64,
}
page!(SpecificationPage, refusal);

/// What was typed.
struct Typed {
    name: String,
    description: String,
    form: CustomizeForm,
}

impl Typed {
    fn read(fields: &Fields) -> Self {
        let cards = fields.parsed::<usize>("cards").unwrap_or(CARDS).min(CARDS_MAX);
        Self {
            name: fields.text("name"),
            description: plain_breaks(&fields.verbatim("description")),
            form: CustomizeForm::read(fields, "/customization", cards),
        }
    }
    fn of(view: &SpecificationView) -> Self {
        let spec = &view.specification.spec;
        let form = CustomizeForm::of_specification(&spec.customization);
        Self { name: spec.name.clone(), description: spec.description.clone(), form }
    }
    fn customization(&self) -> Result<Customization, Problem> {
        let mut reading = Reading::default();
        let rows = vec![true; self.form.cards.len()];
        let custom = self.form.customization(&mut reading, &rows);
        let mut custom = reading.done(custom)?.unwrap_or_default();
        // The last row is there to be filled in.
        while custom.cards.last().is_some_and(hostd_types::GuestCard::is_plain) {
            custom.cards.pop();
        }
        Ok(custom)
    }
}

fn page_of(
    visit: &Visit,
    view: Option<SpecificationView>,
    typed: Typed,
    generation: u64,
    problem: Option<Problem>,
) -> SpecificationPage {
    let title = view.as_ref().map_or("New specification".into(), |view| {
        format!("{} · Specification", view.specification.spec.name)
    });
    let layout = visit.layout("specification", Section::Vms, title);
    let Typed { name, description, form } = typed;
    SpecificationPage { layout, refusal: Refusal(problem), view, called: name, description, form, generation }
}

/// `GET /specifications`
pub(crate) async fn show(visit: Visit) -> Answer {
    let specifications = visit.core.specifications().await.or_page(&visit)?;
    let layout = visit.layout("specifications", Section::Vms, "Specifications").watching("specification vm");
    Ok(answer(&SpecificationsPage { layout, specifications }))
}

/// `GET /specifications/new`
pub(crate) async fn show_new(visit: Visit) -> Answer {
    let typed = Typed { name: String::new(), description: String::new(), form: CustomizeForm::fresh() };
    Ok(answer(&page_of(&visit, None, typed, 0, None)))
}

/// `POST /specifications`
pub(crate) async fn create(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let mut typed = Typed::read(&submission.fields);
    if let Some(button) = submission.fields.find("rows") {
        typed.form.change(button);
        return Ok(answer(&page_of(visit, None, typed, 0, None)));
    }
    let made = match typed.customization() {
        Ok(customization) => {
            let (name, description) = (typed.name.clone(), typed.description.clone());
            let specification = CreateSpecification { name, description, customization };
            let command = SpecificationCommand::Create { id: SpecificationId::new(), specification };
            submission.submit(Command::Specification(command)).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(Flash::good(format!("{} is made.", typed.name)).then("/specifications")),
        Err(problem) => Ok(answer(&page_of(visit, None, typed, 0, Some(problem)))),
    }
}

/// `GET /specifications/{id}`
pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("customization specification", &id)?;
    let view = visit.core.specification(id).await.or_page(&visit)?;
    let (typed, generation) = (Typed::of(&view), view.specification.meta.generation);
    Ok(answer(&page_of(&visit, Some(view), typed, generation, None)))
}

/// `POST /specifications/{id}`
pub(crate) async fn edit(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let id: SpecificationId = visit.id("customization specification", &id)?;
    let view = visit.core.specification(id).await.or_page(visit)?;
    let generation = submission.fields.parsed("generation").unwrap_or(view.specification.meta.generation);
    let mut typed = Typed::read(&submission.fields);
    if let Some(button) = submission.fields.find("rows") {
        typed.form.change(button);
        return Ok(answer(&page_of(visit, Some(view), typed, generation, None)));
    }
    let saved = match typed.customization() {
        Ok(customization) => {
            let edit = EditSpecification {
                name: Some(typed.name.clone()),
                description: Some(typed.description.clone()),
                customization: Some(customization),
            };
            let command = SpecificationCommand::Edit { id, expect: Some(generation), edit };
            submission.submit(Command::Specification(command)).await
        }
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(_) => Ok(Flash::good("Saved. Machines that were made with it keep what they got.")
            .then(&format!("/specifications/{id}"))),
        Err(problem) => Ok(answer(&page_of(visit, Some(view), typed, generation, Some(problem)))),
    }
}

/// `POST /specifications/{id}/copy`
pub(crate) async fn copy(Path(from): Path<String>, submission: Submission) -> Response {
    let from: SpecificationId = match submission.visit.id("customization specification", &from) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let (id, name) = (SpecificationId::new(), submission.fields.text("copy_name"));
    let said = format!("{name} is made.");
    match submission.submit(Command::Specification(SpecificationCommand::Copy { id, from, name })).await {
        Ok(outcome) => {
            let id = outcome.subject.map_or_else(|| id.to_string(), |subject| subject.id);
            Flash::good(said).then(&format!("/specifications/{id}"))
        }
        Err(problem) => submission.refused(&format!("/specifications/{from}"), problem),
    }
}

/// `POST /specifications/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    let id: SpecificationId = match submission.visit.id("customization specification", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    match submission.submit(Command::Specification(SpecificationCommand::Delete { id })).await {
        Ok(_) => {
            Flash::good("The specification is deleted. Machines keep what they got.").then("/specifications")
        }
        Err(problem) => submission.refused(&format!("/specifications/{id}"), problem),
    }
}
