//! Changing what a machine's guest is told at its first boot.

use super::Step;
use hostd_types::*;

/// Makes `change` of the customization of `vm`. A run has the number of the generation it came with: no two of one machine
/// are the same, also when there was none in between.
///
/// # Errors
/// Refused when there is nothing to run again.
pub(crate) fn change(vm: &mut Vm, change: &CustomizationChange) -> Step {
    let next = vm.meta.generation + 1;
    let now = &mut vm.spec.customization;
    match change {
        CustomizationChange::Set { to, run_again } => {
            let mut to = Customization::clone(to);
            to.keep_passwords(now.as_ref());
            if let (None, Some(now)) = (to.specification, &now) {
                // Where it came from stays true of what was changed since.
                (to.specification, to.specification_name) =
                    (now.specification, now.specification_name.clone());
            }
            to.run = match now {
                Some(now) if !run_again => now.run,
                Some(_) | None => next,
            };
            *now = Some(to);
        }
        CustomizationChange::RunAgain => match now {
            Some(now) => now.run = next,
            None => {
                let detail = format!("{} has no customization that could run again.", vm.spec.name);
                return Err(Problem::wrong_state(detail).into());
            }
        },
        CustomizationChange::Remove => *now = None,
    }
    Ok(())
}
