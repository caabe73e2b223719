#pragma once
#include "cuda_emulator.h"           // where the type is defined
