package sim

import (
	"maps"

	"github.com/juju/names/v6"

	"github.com/juju/juju/rpc/params"
)

// annotations2 is Annotations (apiserver/facades/client/annotations).
var annotations2 = methods{
	"Get": read(getAnnotations),
	"Set": write(setAnnotations),
}

func getAnnotations(cn *conn, args params.Entities) (params.AnnotationsGetResults, error) {
	results := params.AnnotationsGetResults{Results: make([]params.AnnotationsGetResult, len(args.Entities))}
	m, err := cn.readModel()
	for i, arg := range args.Entities {
		results.Results[i].EntityTag = arg.Tag
		if err != nil {
			results.Results[i].Error = resultOf(err)
			continue
		}
		results.Results[i].Annotations = m.Annotations[arg.Tag]
	}
	return results, nil
}

func setAnnotations(cn *conn, args params.AnnotationsSet) (params.ErrorResults, error) {
	m, err := cn.writeModel()
	if err != nil {
		return params.ErrorResults{}, err
	}
	return each(args.Annotations, func(arg params.EntityAnnotations) error {
		if _, err := names.ParseTag(arg.EntityTag); err != nil {
			return err
		}
		if m.Annotations == nil {
			m.Annotations = make(map[string]map[string]string)
		}
		if m.Annotations[arg.EntityTag] == nil {
			m.Annotations[arg.EntityTag] = make(map[string]string)
		}
		maps.Copy(m.Annotations[arg.EntityTag], arg.Annotations)
		maps.DeleteFunc(m.Annotations[arg.EntityTag], func(_, value string) bool { return value == "" })
		cn.ctl.changed(m)
		return nil
	}), nil
}
