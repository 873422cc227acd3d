package juju

import (
	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// storageDocument is the part of a status about storage.
func storageDocument(s params.FullStatus) document {
	instances, filesystems, volumes := document{}, document{}, document{}
	for _, i := range s.Storage {
		instances[idOf(i.StorageTag)] = storageInstance(i)
	}
	for _, f := range s.Filesystems {
		filesystems[idOf(f.FilesystemTag)] = filesystem(f)
	}
	for _, v := range s.Volumes {
		volumes[idOf(v.VolumeTag)] = volume(v)
	}
	d := document{}
	d.set("storage", instances)
	d.set("filesystems", filesystems)
	d.set("volumes", volumes)
	return d
}

// idOf is what a tag is about; a tag of a kind that is not known stays itself.
func idOf(tag string) string {
	parsed, err := names.ParseTag(tag)
	if err != nil {
		return tag
	}
	return parsed.Id()
}

func entityStatus(s params.EntityStatus) document {
	d := document{}
	d.set("current", string(s.Status))
	d.set("message", s.Info)
	d.set("since", isoTime(s.Since))
	return d
}

func storageInstance(i params.StorageDetails) document {
	d := document{"kind": i.Kind.String(), "status": entityStatus(i.Status), "persistent": i.Persistent}
	d.set("life", string(i.Life))
	if len(i.Attachments) > 0 {
		d["attachments"] = document{"units": unitAttachments(i)}
	}
	return d
}

func unitAttachments(i params.StorageDetails) document {
	units := document{}
	for tag, a := range i.Attachments {
		d := document{}
		if a.MachineTag != "" {
			d.set("machine", idOf(a.MachineTag))
		}
		d.set("location", a.Location)
		d.set("life", string(a.Life))
		units[idOf(tag)] = d
	}
	return units
}

// attachments are those of a volume or a filesystem; units is what its storage
// instance, if any, is attached to.
func attachments[T any](machines, containers map[string]T, instance *params.StorageDetails, one func(T) document) document {
	byID := func(all map[string]T) document {
		d := document{}
		for tag, a := range all {
			d[idOf(tag)] = one(a)
		}
		return d
	}
	d := document{}
	d.set("machines", byID(machines))
	d.set("containers", byID(containers))
	if instance != nil {
		d.set("units", unitAttachments(*instance))
	}
	return d
}

func filesystem(f params.FilesystemDetails) document {
	d := document{"size": f.Info.SizeMiB, "status": entityStatus(f.Status)}
	d.set("provider-id", f.Info.ProviderId)
	d.set("pool", f.Info.Pool)
	d.set("life", string(f.Life))
	if f.VolumeTag != "" {
		d.set("volume", idOf(f.VolumeTag))
	}
	if f.Storage != nil {
		d.set("storage", idOf(f.Storage.StorageTag))
	}
	d.set("attachments", attachments(f.MachineAttachments, f.UnitAttachments, f.Storage, func(a params.FilesystemAttachmentDetails) document {
		one := document{"mount-point": a.MountPoint, "read-only": a.ReadOnly}
		one.set("life", string(a.Life))
		return one
	}))
	return d
}

func volume(v params.VolumeDetails) document {
	d := document{"size": v.Info.SizeMiB, "persistent": v.Info.Persistent, "status": entityStatus(v.Status)}
	d.set("provider-id", v.Info.ProviderId)
	d.set("hardware-id", v.Info.HardwareId)
	d.set("wwn", v.Info.WWN)
	d.set("pool", v.Info.Pool)
	d.set("life", string(v.Life))
	if v.Storage != nil {
		d.set("storage", idOf(v.Storage.StorageTag))
	}
	d.set("attachments", attachments(v.MachineAttachments, v.UnitAttachments, v.Storage, func(a params.VolumeAttachmentDetails) document {
		one := document{"read-only": a.ReadOnly}
		one.set("device", a.DeviceName)
		one.set("device-link", a.DeviceLink)
		one.set("bus-address", a.BusAddress)
		one.set("life", string(a.Life))
		return one
	}))
	return d
}
