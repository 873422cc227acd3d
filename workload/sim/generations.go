package sim

// What each generation serves. The versions are those real controllers of the
// generation announce, as far as they are simulated.

func controllerFacades36() map[string]facade {
	return map[string]facade{
		"Cloud":        {7: cloud7},
		"ModelConfig":  {3: modelConfig3},
		"ModelManager": {9: modelManager10, 10: modelManager10},
		"Pinger":       {1: pinger},
	}
}

func controllerFacades41() map[string]facade {
	return map[string]facade{
		"Cloud":        {7: cloud7, 8: cloud8},
		"ModelConfig":  {3: modelConfig3, 4: modelConfig4},
		"ModelManager": {10: modelManager10, 11: modelManager11},
		"Pinger":       {1: pinger},
	}
}

func modelFacades36() map[string]facade {
	return map[string]facade{
		"Client":      {6: client8, 7: client8, 8: client8},
		"ModelConfig": {3: modelConfig3},
		"Pinger":      {1: pinger},
	}
}

func modelFacades41() map[string]facade {
	return map[string]facade{
		"Client":      {8: client8},
		"ModelConfig": {3: modelConfig3, 4: modelConfig4},
		"Pinger":      {1: pinger},
	}
}
