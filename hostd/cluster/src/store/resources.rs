//! Reads of hosts, machines, volumes, images and networks.

use super::Store;
use crate::error::read_failed;
use hostd_types::*;
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};

/// Ids as the JSON array that `json_each` reads.
fn json_array<T: ToString>(ids: &BTreeSet<T>) -> String {
    let ids: Vec<serde_json::Value> = ids.iter().map(|id| id.to_string().into()).collect();
    serde_json::Value::Array(ids).to_string()
}

impl Store {
    /// All hosts, by name.
    pub async fn hosts(&self) -> Result<Vec<Host>, Problem> {
        self.all("id <> ?", String::new()).await
    }

    /// One host.
    pub async fn host(&self, id: HostId) -> Result<Option<Host>, Problem> {
        self.one("id", id.to_string()).await
    }

    /// One machine.
    pub async fn vm(&self, id: VmId) -> Result<Option<Vm>, Problem> {
        self.one("id", id.to_string()).await
    }

    /// Some machines; one that is not there is left out.
    pub async fn vms_among(&self, ids: &BTreeSet<VmId>) -> Result<Vec<Vm>, Problem> {
        self.all("id IN (SELECT value FROM json_each(?))", json_array(ids)).await
    }

    /// The machine of this name, letter case ignored.
    pub async fn vm_named(&self, name: &str) -> Result<Option<Vm>, Problem> {
        self.one("name", name.into()).await
    }

    /// A page of machines. Orders: name, state, cpus, memory, created. `state` is a [`VmState`]'s name.
    pub async fn vms(&self, list: &ListParams) -> Result<Page<Vm>, Problem> {
        let in_folder = list.folder.is_some_and(|FolderPlace(folder)| folder.is_some());
        if in_folder && self.level().await? < LIFE {
            // There are no folders yet.
            return Ok(Page { items: Vec::new(), total: 0, next: None });
        }
        self.page(list).await
    }

    /// The machines of a host.
    pub async fn vms_on(&self, host: HostId) -> Result<Vec<Vm>, Problem> {
        self.all("host = ?", host.to_string()).await
    }

    /// Number of machines by `VmState::as_str`; states without machines are absent. Templates are not counted.
    pub async fn vm_counts(&self) -> Result<BTreeMap<String, u64>, Problem> {
        let sql = "SELECT state, count(*) FROM vm WHERE json_extract(spec, '$.lineage.template') IS NULL \
                   GROUP BY state";
        let rows = sqlx::query(sql).fetch_all(&self.0).await.map_err(read_failed)?;
        let count =
            |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs()));
        rows.iter().map(|row| count(row).map_err(|e: sqlx::Error| read_failed(e))).collect()
    }

    /// Number of templates.
    pub async fn template_count(&self) -> Result<u64, Problem> {
        let sql = "SELECT count(*) FROM vm WHERE json_extract(spec, '$.lineage.template') IS NOT NULL";
        let row = sqlx::query(sql).fetch_one(&self.0).await.map_err(read_failed)?;
        Ok(row.try_get::<i64, _>(0).map_err(read_failed)?.unsigned_abs())
    }

    /// Names of machines; one that is not there has none.
    pub async fn vm_names(&self, ids: &BTreeSet<VmId>) -> Result<BTreeMap<VmId, String>, Problem> {
        self.names("SELECT id, name FROM vm WHERE id IN (SELECT value FROM json_each(?))", ids).await
    }

    /// Names of images; one that is not there has none.
    pub async fn image_names(&self, ids: &BTreeSet<ImageId>) -> Result<BTreeMap<ImageId, String>, Problem> {
        self.names("SELECT id, name FROM image WHERE id IN (SELECT value FROM json_each(?))", ids).await
    }

    /// Ids with their names; `sql` takes the ids as a JSON array.
    async fn names<T: ToString + std::str::FromStr<Err = BadId> + Ord>(
        &self,
        sql: &'static str,
        ids: &BTreeSet<T>,
    ) -> Result<BTreeMap<T, String>, Problem> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = sqlx::query(sql).bind(json_array(ids)).fetch_all(&self.0).await.map_err(read_failed)?;
        let pair = |row: &sqlx::sqlite::SqliteRow| {
            let id: &str = row.try_get(0).map_err(read_failed)?;
            Ok((id.parse().map_err(read_failed)?, row.try_get(1).map_err(read_failed)?))
        };
        rows.iter().map(pair).collect()
    }

    /// The volumes that are over a layer of one of these, or being copied from one.
    pub async fn volumes_from(&self, volumes: &BTreeSet<VolumeId>) -> Result<Vec<Volume>, Problem> {
        let condition = "json_extract(spec, '$.origin.volume') IN (SELECT value FROM json_each(?))";
        self.all(condition, json_array(volumes)).await
    }

    /// The volumes of a host that no machine has.
    pub async fn free_volumes_on(&self, host: HostId) -> Result<Vec<Volume>, Problem> {
        self.all("host = ? AND vm IS NULL", host.to_string()).await
    }

    /// One volume.
    pub async fn volume(&self, id: VolumeId) -> Result<Option<Volume>, Problem> {
        self.one("id", id.to_string()).await
    }

    /// A page of volumes. Orders: name, size, created. `state` is a [`Phase`]'s name.
    pub async fn volumes(&self, list: &ListParams) -> Result<Page<Volume>, Problem> {
        self.page(list).await
    }

    /// The volumes of a host.
    pub async fn volumes_on(&self, host: HostId) -> Result<Vec<Volume>, Problem> {
        self.all("host = ?", host.to_string()).await
    }

    /// The volumes that belong to a machine.
    pub async fn volumes_of(&self, vm: VmId) -> Result<Vec<Volume>, Problem> {
        self.all("vm = ?", vm.to_string()).await
    }

    /// The volumes that belong to one of these machines.
    pub async fn volumes_among(&self, vms: &BTreeSet<VmId>) -> Result<Vec<Volume>, Problem> {
        self.all("vm IN (SELECT value FROM json_each(?))", json_array(vms)).await
    }

    /// The volumes layered over an image.
    pub async fn volumes_over(&self, image: ImageId) -> Result<Vec<Volume>, Problem> {
        self.all("image = ?", image.to_string()).await
    }

    /// One image.
    pub async fn image(&self, id: ImageId) -> Result<Option<Image>, Problem> {
        self.one("id", id.to_string()).await
    }

    /// The image of this name, letter case ignored.
    pub async fn image_named(&self, name: &str) -> Result<Option<Image>, Problem> {
        self.one("name", name.into()).await
    }

    /// A page of images. Orders: name, size, created. `state` is a [`Phase`]'s name.
    pub async fn images(&self, list: &ListParams) -> Result<Page<Image>, Problem> {
        self.page(list).await
    }

    /// The images of a host.
    pub async fn images_on(&self, host: HostId) -> Result<Vec<Image>, Problem> {
        self.all("host = ?", host.to_string()).await
    }

    /// Machines with this image in one of their CD-ROM drives.
    pub async fn vms_with_cdrom(&self, image: ImageId) -> Result<Vec<Vm>, Problem> {
        let condition = "cdrom = ?1 OR json_extract(spec, '$.more_cdroms') IS NOT NULL \
            AND EXISTS (SELECT 1 FROM json_each(spec, '$.more_cdroms') WHERE value = ?1)";
        self.all(condition, image.to_string()).await
    }

    /// One network.
    pub async fn network(&self, id: NetworkId) -> Result<Option<Network>, Problem> {
        self.one("id", id.to_string()).await
    }

    /// A page of networks. Orders: name, created. `state` is a [`Phase`]'s name.
    pub async fn networks(&self, list: &ListParams) -> Result<Page<Network>, Problem> {
        self.page(list).await
    }

    /// The networks of a host.
    pub async fn networks_on(&self, host: HostId) -> Result<Vec<Network>, Problem> {
        self.all("host = ?", host.to_string()).await
    }

    /// Number of machines with a card plugged into each network; networks without are absent.
    pub async fn vms_by_network(&self) -> Result<BTreeMap<NetworkId, u64>, Problem> {
        let sql = "SELECT network, count(DISTINCT vm) FROM nic GROUP BY network";
        self.counted(sql).await
    }

    /// Number of volumes layered over each image; images without are absent.
    pub async fn volumes_by_image(&self) -> Result<BTreeMap<ImageId, u64>, Problem> {
        self.counted("SELECT image, count(*) FROM volume WHERE image IS NOT NULL GROUP BY image").await
    }

    /// Number of machines with each image in a CD-ROM drive; images without are absent.
    pub async fn vms_by_cdrom(&self) -> Result<BTreeMap<ImageId, u64>, Problem> {
        let sql = "SELECT image, count(*) FROM (
            SELECT cdrom AS image, id AS vm FROM vm WHERE cdrom IS NOT NULL
            UNION SELECT drive.value, vm.id FROM vm, json_each(vm.spec, '$.more_cdroms') AS drive
                WHERE json_extract(vm.spec, '$.more_cdroms') IS NOT NULL AND drive.value IS NOT NULL)
            GROUP BY image";
        self.counted(sql).await
    }

    /// Ids with a number each.
    async fn counted<T: std::str::FromStr<Err = BadId> + Ord>(
        &self,
        sql: &'static str,
    ) -> Result<BTreeMap<T, u64>, Problem> {
        let rows = sqlx::query(sql).fetch_all(&self.0).await.map_err(read_failed)?;
        let count = |row: &sqlx::sqlite::SqliteRow| {
            let id: &str = row.try_get(0).map_err(read_failed)?;
            let number: i64 = row.try_get(1).map_err(read_failed)?;
            Ok((id.parse().map_err(read_failed)?, number.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    }

    /// Machines with a card plugged into this network.
    pub async fn vms_on_network(&self, network: NetworkId) -> Result<Vec<Vm>, Problem> {
        self.all("id IN (SELECT vm FROM nic WHERE network = ?)", network.to_string()).await
    }
}
