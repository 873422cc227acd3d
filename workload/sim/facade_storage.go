package sim

import "github.com/juju/juju/rpc/params"

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

// storage6 tells that there is no storage, which is not simulated.
var storage6 = methods{
	"ListStorageDetails": readable(func(_ *model, args params.StorageFilters) params.StorageDetailsListResults {
		return params.StorageDetailsListResults{Results: make([]params.StorageDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListFilesystems": readable(func(_ *model, args params.FilesystemFilters) params.FilesystemDetailsListResults {
		return params.FilesystemDetailsListResults{Results: make([]params.FilesystemDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListVolumes": readable(func(_ *model, args params.VolumeFilters) params.VolumeDetailsListResults {
		return params.VolumeDetailsListResults{Results: make([]params.VolumeDetailsListResult, max(1, len(args.Filters)))}
	}),
	"ListPools": readable(func(_ *model, _ params.StoragePoolFilters) params.StoragePoolsResults {
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
