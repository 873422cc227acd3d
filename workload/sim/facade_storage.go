package sim

import (
	"github.com/juju/juju/core/permission"
	"github.com/juju/juju/rpc/params"
)

// readable makes a method that anyone who may read the model may call.
func readable[P, R any](f func(m *model, p P) R) method {
	return read(func(cn *conn, p P) (R, error) {
		m, err := cn.readModel()
		if err != nil {
			var fail R
			return fail, err
		}
		return f(m, p), nil
	})
}

// storable makes a method that anyone who may read the model, or a superuser,
// may call. 4.x does not say what is lacking.
func storable[P, R any](f func(m *model, p P) R) method {
	return read(func(cn *conn, p P) (R, error) {
		var fail R
		err := cn.onModel(permission.ReadAccess, cn.model)
		if err != nil && cn.ctl.config.Generation == Juju41 {
			err = coded(params.CodeUnauthorized, "not authorized for request")
		}
		if err != nil {
			return fail, err
		}
		m, err := cn.theModel()
		if err != nil {
			return fail, err
		}
		return f(m, p), nil
	})
}

// storage6 tells that there is no storage, which is not simulated.
var storage6 = methods{
	"ListStorageDetails": storable(func(_ *model, args params.StorageFilters) params.StorageDetailsListResults {
		return params.StorageDetailsListResults{Results: make([]params.StorageDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListFilesystems": storable(func(_ *model, args params.FilesystemFilters) params.FilesystemDetailsListResults {
		return params.FilesystemDetailsListResults{Results: make([]params.FilesystemDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListVolumes": storable(func(_ *model, args params.VolumeFilters) params.VolumeDetailsListResults {
		return params.VolumeDetailsListResults{Results: make([]params.VolumeDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListPools": storable(func(_ *model, _ params.StoragePoolFilters) params.StoragePoolsResults {
		return params.StoragePoolsResults{Results: []params.StoragePoolsResult{{Result: []params.StoragePool{
			{Name: "rootfs", Provider: "rootfs"}, {Name: "tmpfs", Provider: "tmpfs"},
		}}}}
	}),
}

// spaces6 knows the one space that every model has.
var spaces6 = methods{
	"ListSpaces": readable(func(*model, none) params.ListSpacesResults {
		return params.ListSpacesResults{Results: []params.Space{{Id: "0", Name: "alpha", Subnets: []params.Subnet{}}}}
	}),
}

var subnets5 = methods{
	"ListSubnets": readable(func(*model, params.SubnetsFilters) params.ListSubnetsResults {
		return params.ListSubnetsResults{Results: []params.Subnet{}}
	}),
}
