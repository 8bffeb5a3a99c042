/**
 * The resource types of FHIR R4 and Medplum. An app may take a type from its users, so it may be any word, even a
 * person's name. Templates, traces and metrics therefore repeat a word only if it is one of these types.
 */
const RESOURCE_TYPES: ReadonlySet<string> = new Set(
  `
  AccessPolicy Account ActivityDefinition AdverseEvent Agent AllergyIntolerance Appointment AppointmentResponse
  AsyncJob AuditEvent Basic Binary BiologicallyDerivedProduct BodyStructure Bot BulkDataExport Bundle
  CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem ChargeItemDefinition Claim ClaimResponse
  ClientApplication ClinicalImpression CodeSystem Communication CommunicationRequest CompartmentDefinition
  Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
  CoverageEligibilityResponse Cron DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest
  DeviceUseStatement DiagnosticReport DicomInstance DicomSeries DicomStudy DocumentManifest DocumentReference
  DomainConfiguration EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest EnrollmentResponse Enterprise
  EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit FamilyMemberHistory
  Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
  ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice JsonWebKey Library
  Linkage List Location Login Measure MeasureReport Media Medication MedicationAdministration MedicationDispense
  MedicationKnowledge MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
  MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
  MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
  MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
  Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
  Package PackageInstallation PackageRelease Parameters Patient PaymentNotice PaymentReconciliation Person
  PlanDefinition Practitioner PractitionerRole Procedure Project ProjectMembership Provenance Questionnaire
  QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy
  ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot SmartAppLaunch
  SmartHealthLink Specimen SpecimenDefinition StructureDefinition StructureMap Subscription SubscriptionStatus
  Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
  SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities
  TestReport TestScript User UserConfiguration UserSecurityRequest ValueSet VerificationResult VisionPrescription
`.match(/\w+/g),
);

/** Returns `type` if it is a resource type. */
export function knownType(type: string | undefined): string | undefined {
  return type !== undefined && RESOURCE_TYPES.has(type) ? type : undefined;
}

/** Replaces the word after `/fhir/R4/` by `{type}`, unless it is a resource type. */
export function safeTemplate(pathTemplate: string): string {
  return pathTemplate.replace(/(?<=\/R4\/)[A-Z][A-Za-z]*/, (word) => knownType(word) ?? '{type}');
}
