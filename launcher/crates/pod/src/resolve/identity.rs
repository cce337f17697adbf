//! Whose an app is: its user and groups, and the variables that go with them.

use crate::resolve::merge::Merged;
use crate::resolve::request::AppRequest;
use crate::resolve::users::{self, Identity};
use crate::spec::process::{BY_ACCOUNT, Sourced};
use error::Result;
use image::store::rootfs::Rootfs;

/// Resolves the user and the group of an app. A user that the operator chooses
/// comes with the groups of its account, unless the operator chooses them, too:
/// those of the image are for the image's user. So does the user of an image that
/// names no groups, if its format has it so. The account's variables are set
/// where nobody has set others.
///
/// # Errors
///
/// Fails if the image does not have the user or the group.
pub(super) fn settle(
    merged: &mut Merged,
    wanted: &AppRequest,
    rootfs: &dyn Rootfs,
) -> Result<Identity> {
    let uid = users::user(&merged.app.user, rootfs)?;
    let account = users::account(&merged.app.user, uid, rootfs)?;
    let chosen = (wanted.user.is_some() || merged.account_groups) && wanted.group.is_none();
    let gid = match account.as_ref().filter(|_| chosen) {
        Some(account) => {
            let Merged { app, reasons, .. } = merged;
            app.group = account.gid.to_string();
            reasons.group.clone_from(&reasons.user);
            if wanted.supplementary_gids.is_none() {
                app.supplementary_gids = users::memberships(account, rootfs)?;
                reasons.groups.clone_from(&reasons.user);
            }
            account.gid
        }
        None => users::group(&merged.app.group, rootfs)?,
    };
    let all = &mut merged.variables;
    for variable in users::variables(account.as_ref()) {
        if !all.iter().any(|one| one.value.name == variable.name) {
            all.push(Sourced::new(variable, BY_ACCOUNT));
        }
    }
    Ok(Identity { uid, gid })
}
