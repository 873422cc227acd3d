module jimm/integration/peers/prepare

go 1.26.5
