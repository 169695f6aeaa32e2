# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.unit.codec.printers.kinds import cells

from toono.codec.printers.storage import STORAGE_CLASSES

STORAGE = "storage.k8s.io"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def test_volumes():
    spec = {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "n", "name": "c"},
        "storageClassName": "s",
        "volumeAttributesClassName": "v",
        "volumeMode": "Block",
    }
    status = {"phase": "Bound", "reason": "r"}
    assert cells("PersistentVolume", {"spec": spec, "status": status}) == {
        "Capacity": "10Gi",
        "Access Modes": "RWO,RWX",
        "Reclaim Policy": "Retain",
        "Status": "Bound",
        "Claim": "n/c",
        "StorageClass": "s",
        "VolumeAttributesClass": "v",
        "Reason": "r",
        "VolumeMode": "Block",
    }


def test_volumes_that_say_little():
    found = cells("PersistentVolume", {}, deletionTimestamp="t")
    assert found["Status"] == "Terminating"
    assert found["Capacity"] == "0"
    assert found["Claim"] == found["StorageClass"] == ""
    assert found["VolumeAttributesClass"] == found["VolumeMode"] == "<unset>"


def test_modes_have_an_order():
    modes = ["ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce", "x"]
    found = cells("PersistentVolume", {"spec": {"accessModes": modes}})
    assert found["Access Modes"] == "RWO,ROX,RWX,RWOP"


def test_an_annotation_names_the_class_first():
    obj = {"spec": {"storageClassName": "s"}}
    notes = {BETA_CLASS: "old"}
    assert cells("PersistentVolume", obj, annotations=notes)["StorageClass"] == "old"
    found = cells("PersistentVolumeClaim", obj, annotations={BETA_CLASS: ""})
    assert found["StorageClass"] == ""


def test_claims():
    spec = {"volumeName": "v", "storageClassName": "s", "volumeMode": "Filesystem"}
    status = {
        "phase": "Bound",
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
    }
    assert cells("PersistentVolumeClaim", {"spec": spec, "status": status}) == {
        "Status": "Bound",
        "Volume": "v",
        "Capacity": "1Gi",
        "Access Modes": "RWO",
        "StorageClass": "s",
        "VolumeAttributesClass": "<unset>",
        "VolumeMode": "Filesystem",
    }


def test_claims_without_a_volume_have_no_capacity():
    status = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    found = cells("PersistentVolumeClaim", {"status": status})
    assert found["Capacity"] == found["Access Modes"] == ""


def test_storage_classes():
    obj = {
        "provisioner": "p",
        "reclaimPolicy": "Retain",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }
    assert cells("StorageClass", obj, group=STORAGE) == {
        "Provisioner": "p",
        "ReclaimPolicy": "Retain",
        "VolumeBindingMode": "WaitForFirstConsumer",
        "AllowVolumeExpansion": True,
    }
    found = cells("StorageClass", {}, group=STORAGE)
    assert found["ReclaimPolicy"] == "Delete"
    assert found["VolumeBindingMode"] == "Immediate"
    assert found["AllowVolumeExpansion"] is False


@pytest.mark.parametrize("beta", ["", ".beta"])
@pytest.mark.parametrize(("value", "shown"), [("true", "a (default)"), ("false", "a")])
def test_the_default_class_is_marked(beta, value, shown):
    notes = {f"storageclass{beta}.kubernetes.io/is-default-class": value}
    obj = {"metadata": {"name": "a", "annotations": notes}}
    assert STORAGE_CLASSES.cells(obj, 0.0)[0] == shown


def test_attachments():
    spec = {"attacher": "d", "source": {"persistentVolumeName": "v"}, "nodeName": "n"}
    obj = {"spec": spec, "status": {"attached": True}}
    assert cells("VolumeAttachment", obj, group=STORAGE) == {
        "Attacher": "d",
        "PV": "v",
        "Node": "n",
        "Attached": True,
    }


def test_drivers():
    spec = {
        "attachRequired": False,
        "podInfoOnMount": True,
        "storageCapacity": True,
        "tokenRequests": [{"audience": "x"}, {"audience": "y"}],
        "requiresRepublish": True,
        "volumeLifecycleModes": ["Persistent", "Ephemeral"],
    }
    assert cells("CSIDriver", {"spec": spec}, group=STORAGE) == {
        "AttachRequired": False,
        "PodInfoOnMount": True,
        "StorageCapacity": True,
        "TokenRequests": "x,y",
        "RequiresRepublish": True,
        "Modes": "Persistent,Ephemeral",
    }
    assert cells("CSIDriver", {}, group=STORAGE) == {
        "AttachRequired": True,
        "PodInfoOnMount": False,
        "StorageCapacity": False,
        "TokenRequests": "<unset>",
        "RequiresRepublish": False,
        "Modes": "<none>",
    }


def test_storage_capacities():
    obj = {"storageClassName": "s", "capacity": "5Gi"}
    found = cells("CSIStorageCapacity", obj, group=STORAGE)
    assert found == {"StorageClassName": "s", "Capacity": "5Gi"}
    found = cells("CSIStorageCapacity", {}, group=STORAGE)
    assert found["Capacity"] == "<unset>"
