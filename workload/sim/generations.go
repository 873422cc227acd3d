package sim

// What each generation serves. The versions are those that real controllers of
// the generation announce, as far as they are simulated.

// versions makes a facade that is the same in all of some versions.
func versions(m methods, numbers ...int) facade {
	f := make(facade, len(numbers))
	for _, n := range numbers {
		f[n] = m
	}
	return f
}

func controllerFacades36() map[string]facade {
	return map[string]facade{
		"ApplicationOffers":   versions(applicationOffers5, 4, 5),
		"Cloud":               versions(cloud7, 7),
		"Controller":          {11: controller36.with(methods{"ModelConfig": read(controllerModelConfig)}), 12: controller36},
		"CrossController":     versions(crossController, 1),
		"HighAvailability":    versions(highAvailability2, 2),
		"ModelConfig":         versions(modelConfig3, 3),
		"ModelManager":        versions(modelManager10, 9, 10),
		"ModelSummaryWatcher": versions(summaryWatcher, 1),
		"ModelUpgrader":       versions(modelUpgrader, 1),
		"NotifyWatcher":       versions(notifyWatcher, 1),
		"Pinger":              versions(pinger, 1),
		"SecretBackends":      versions(secretBackends1, 1),
		"UserManager":         versions(userManager3, 3),
	}
}

func controllerFacades41() map[string]facade {
	return map[string]facade{
		"ApplicationOffers":   {5: applicationOffers5, 6: applicationOffers6},
		"Cloud":               {7: cloud7, 8: cloud8},
		"Controller":          {12: controllerLegacy, 13: controller12, 14: controller12},
		"CrossController":     versions(crossController, 1),
		"ModelConfig":         {3: modelConfig3, 4: modelConfig4},
		"ModelManager":        {10: modelManager10, 11: modelManager11},
		"ModelSummaryWatcher": versions(summaryWatcher, 1),
		"ModelUpgrader":       versions(modelUpgrader, 2),
		"NotifyWatcher":       versions(notifyWatcher, 1),
		"Pinger":              versions(pinger, 1),
		"SecretBackends":      versions(secretBackends1, 1),
		"UserManager":         versions(userManager3, 3),
	}
}

func modelFacades36() map[string]facade {
	return map[string]facade{
		"Action":           versions(action7, 7),
		"AllWatcher":       versions(allWatcher3, 3),
		"Annotations":      versions(annotations2, 2),
		"Application":      versions(application22, 15, 16, 17, 18, 19, 20, 21, 22),
		"Block":            versions(block2, 2),
		"Charms":           versions(charms7, 5, 6, 7),
		"Client":           versions(client8.with(methods{"WatchAll": write(watchAll)}), 6, 7, 8),
		"HighAvailability": versions(highAvailability2, 2),
		"KeyManager":       versions(keyManager1, 1),
		"ModelConfig":      versions(modelConfig3, 3),
		"NotifyWatcher":    versions(notifyWatcher, 1),
		"Pinger":           versions(pinger, 1),
		"Resources":        versions(resources3, 3),
		"Secrets":          {1: secrets1, 2: secrets2},
		"Spaces":           versions(spaces6, 6),
		"Storage":          versions(storage6, 6, 7),
		"StringsWatcher":   versions(stringsWatcher, 1),
		"Subnets":          versions(subnets5, 5),
	}
}

func modelFacades41() map[string]facade {
	return map[string]facade{
		"Action":           versions(action7, 7),
		"Annotations":      versions(annotations2, 2),
		"Application":      versions(application22, 19, 20, 21, 22),
		"Block":            versions(block2, 2),
		"Charms":           versions(charms7, 7),
		"Client":           versions(client8, 8),
		"HighAvailability": {2: highAvailability2, 3: highAvailability3},
		"KeyManager":       versions(keyManager1, 1),
		"ModelConfig":      {3: modelConfig3, 4: modelConfig4},
		"NotifyWatcher":    versions(notifyWatcher, 1),
		"Pinger":           versions(pinger, 1),
		"Resources":        versions(resources3, 3),
		"Secrets":          {1: secrets1, 2: secrets2},
		"Spaces":           versions(spaces6, 6),
		"Storage":          versions(storage6, 6, 7),
		"StringsWatcher":   versions(stringsWatcher, 1),
		"Subnets":          versions(subnets5, 5),
	}
}
